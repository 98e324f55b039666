"""dit_generators.study"""
