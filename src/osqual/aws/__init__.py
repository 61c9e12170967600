"""Amazon's cloud through boto3: what must hold before a run, images, and what runs left."""
