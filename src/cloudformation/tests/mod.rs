mod read_properties;
