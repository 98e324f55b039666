"""What values and errors are made of: kernels, Gaussian fits, U-statistics, intervals."""
