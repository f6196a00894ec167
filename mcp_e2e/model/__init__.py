"""The nouns, frozen. Times are UTC seconds, durations seconds, sizes bytes, paths absolute."""
