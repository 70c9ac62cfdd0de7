-- messages.give_back: claimed messages were not sent: somebody else may, at once, and it was no try of theirs.
-- Guarantees: only a claim's holder gives it back (`lost`: how many were not his). Locks: the messages, in the order of their ids. Callers: worker
create or replace function messages.give_back(ids uuid[], tokens uuid[], out given integer, out lost integer)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with mine as materialized (
    select o.id from messages.outbox o
     where o.id = any (give_back.ids) and o.state = 'sending'
       and o.lease_token = (give_back.tokens)[array_position(give_back.ids, o.id)]
     order by o.id
       for no key update
  )
  update messages.outbox o
     set state = 'queued', attempts = o.attempts - 1, due_at = ops.now(), lease_token = null, leased_until = null
    from mine where o.id = mine.id;
  get diagnostics give_back.given = row_count;
  give_back.lost := cardinality(give_back.ids) - give_back.given;
end
$$;
