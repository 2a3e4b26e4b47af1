% read.m FILE FOLDER KEYS...: writes each tensor as float64, and what Octave takes it for, into FOLDER.
given = argv ();
index = fopen (fullfile (given{2}, "index"), "w");
for number = 3:numel (given)
  key = given{number};
  parts = strsplit (key, "/");
  found = load ("-hdf5", given{1}, parts{1});
  value = found;
  for part = parts
    value = value.(part{1});
  end
  sizes = size (value);
  if (isvector (value))
    sizes = numel (value);
  end
  fprintf (index, "%s %s%s\n", key, class (value), sprintf (" %d", sizes));
  out = fopen (fullfile (given{2}, num2str (number - 2)), "w");
  fwrite (out, double (value), "double");
  fclose (out);
end
fclose (index);
