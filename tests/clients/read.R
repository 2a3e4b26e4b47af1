# read.R FILE FOLDER KEYS...: writes each tensor as float64, and what hdf5r takes it for, into FOLDER.
suppressMessages(library(hdf5r))
given <- commandArgs(trailingOnly = TRUE)
file <- H5File$new(given[1], "r")
index <- character(0)
keys <- given[-(1:2)]
for (number in seq_along(keys)) {
  found <- file[[keys[number]]]
  value <- found$read(drop = FALSE)
  index <- c(index, paste(keys[number], found$get_type()$to_text(), paste(found$dims, collapse = " ")))
  writeBin(as.double(value), file.path(given[2], number), size = 8, endian = "little")
}
writeLines(index, file.path(given[2], "index"))
