"""What a training is asked for: arguments and class weights, below the Trainer that reads
them.
"""
