"""What an image holds: facts, how they are gained, checks of hygiene, differences, an SBOM."""
