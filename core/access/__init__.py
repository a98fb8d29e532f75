"""Who may do what in a console: roles, the table of actions, their record, their limits, and whom the server answers at all."""
