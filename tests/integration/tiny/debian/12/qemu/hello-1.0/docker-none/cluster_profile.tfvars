num_of_masters        = "1"
num_of_private_agents = "0"
num_of_public_agents  = "0"
