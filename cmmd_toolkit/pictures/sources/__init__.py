"""Where pictures come from, in which order, and how each one is read: one kind of source a file.

A source yields `(name, load)` pairs; `load()` reads and decodes that picture and may run in another thread. Folders and
zips are in the order of the names, compared as plain strings with "/" between folders, whatever the file system
returns; everything else is in its own order.
"""

from .again import Again as Again
from .datasets import is_dataset as is_dataset
from .folders import picture_names as picture_names
from .names import SUFFIXES as SUFFIXES, class_of as class_of
from .open import FILE_SUFFIXES as FILE_SUFFIXES, open_images as open_images, suffix_of as suffix_of
from .source import ImageSource as ImageSource, Stream as Stream, subset_rows as subset_rows
