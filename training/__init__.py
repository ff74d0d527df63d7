"""Training arguments, class weights, logit adjustment and presets."""
