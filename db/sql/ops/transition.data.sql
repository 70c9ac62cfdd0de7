-- ops.transition: the allowed moves of every lifecycle. From '' a row is born.
delete from ops.transition;
insert into ops.transition (machine, from_state, to_state) values
  ('ledger.hold', '', 'held'),
  ('ledger.hold', 'held', 'settled'),
  ('ledger.hold', 'held', 'released'),
  ('ledger.hold', 'held', 'expired');
