"""The questions that howspec answers, one file each: a function, and the answer that it gives."""
