# One of each role: the smallest cluster on which every test says something.
num_of_masters        = "1"
num_of_private_agents = "1"
num_of_public_agents  = "1"
