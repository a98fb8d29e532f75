"""What tests share besides fixtures: made-up logos, tiny runs, waiting, pages, servers. A test imports from here, never from another test."""
