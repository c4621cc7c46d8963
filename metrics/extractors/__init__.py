"""Networks that turn clips, images and words into features, loaded from disk and nowhere else.

Importing this package loads no network and no library.
"""
