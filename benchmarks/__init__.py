"""What measures the library: named problems, named methods, and the command line that runs their product.

Importing it loads none of the libraries that it measures; each is imported by the function that needs it.
"""
