"""The tab Crop: pictures in, rectangles to drag, a data set to take along."""
