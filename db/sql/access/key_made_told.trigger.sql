-- access.key_made_told: a new access key is told of to the operator's endpoints, in the statement that makes it.
create or replace trigger key_made_told
  after insert on access.key
  for each row execute function access.tell_key();
