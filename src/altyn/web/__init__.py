"""What people see in a browser. So far: the page that says where to go."""
