-- messages.contact_left_told: that somebody has left broadcasts is told to the operator's endpoints, in the statement that says so.
create or replace trigger contact_left_told
  after update of left_at on messages.contact
  for each row
  when (old.left_at is null and new.left_at is not null)
  execute function messages.tell_left();
