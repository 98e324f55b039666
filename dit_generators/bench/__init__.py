"""dit_generators.bench"""
