-- ops.remember: stores the answer of an admitted request under its key, and hands it on.
-- Guarantees: one answer per workspace and key, by constraint request_once: were two calls ever to pass ops.admit at
--   once, the second would roll back here with everything it did.
-- Refuses: a null answer (a routine that returned nothing is a fault of ours, not an answer): SQLSTATE 22004.
-- Callers: worker
create or replace function ops.remember(
  workspace_id uuid,
  idempotency_key text,
  fingerprint text,
  request_id uuid,
  answer json
)
  returns json
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if remember.answer is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'a routine answered null';
  end if;
  insert into ops.request (workspace_id, idempotency_key, fingerprint, request_id, answer, created_at)
  values (remember.workspace_id, remember.idempotency_key, decode(remember.fingerprint, 'hex'), remember.request_id,
          remember.answer, ops.now());
  return remember.answer;
end
$$;
