"""dit_generators.sampling"""
