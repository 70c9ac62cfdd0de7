-- access.key_told: each new state of an access key is told to the operator's endpoints, in the statement of the change.
create or replace trigger key_told
  after update on access.key
  for each row
  when (old.state is distinct from new.state)
  execute function access.tell_key();
