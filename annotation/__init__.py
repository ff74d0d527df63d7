"""Labels that people give to turns: their files, and Label Studio's."""
