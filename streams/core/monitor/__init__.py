"""The second stage: merges partials into windows, measures, and tells what it found."""
