-- ops.admit: lets a write in: key, scope and workspace are checked, and the idempotency key is claimed.
-- Guarantees: two calls with one key never run at once: the second waits here for the first's commit and then finds its
--   answer as `replay`, with a fresh snapshot; if the first rolled back, the second finds nothing and runs.
--   `own` says that the stored answer was this very request's (a repeat after an unknown outcome), not a client's replay.
--   The lock is only the waiting; what makes a second effect impossible is the unique key that ops.remember inserts.
-- Locks: the request's key (advisory, until the end of the statement), before any row.
-- A call that a workspace which is read-only or frozen may not make (all that do not say `even_read_only`) is refused only
--   where it would run: what it answered before is answered again.
-- Refuses: as people.authenticate; idempotency_key_reused (another request stored under this key); workspace_read_only,
--   workspace_frozen (with the reason).
-- Callers: worker
create or replace function ops.admit(
  key_hash text,
  scope text,
  workspace uuid,
  inout idempotency_key text,
  inout fingerprint text,
  inout request_id uuid,
  even_read_only boolean default true,
  out workspace_id uuid,
  out key_id uuid,
  out caused_by text,
  out replay json,
  out own boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fingerprint bytea;
  v_access record;
begin
  admit.key_id := people.authenticate(admit.key_hash, admit.scope, admit.workspace);
  admit.workspace_id := admit.workspace;
  admit.caused_by := 'key:' || admit.key_id;
  -- Without a key of the client's, the request's id is the key: so an unknown outcome can be repeated by us.
  admit.idempotency_key := coalesce(admit.idempotency_key, 'tg:request:' || admit.request_id);
  -- An assignment, since PERFORM would plan and run a query for it.
  admit.own := pg_advisory_xact_lock(hashtextextended(concat(admit.workspace_id, admit.idempotency_key), 0)) is null;

  -- Only now, in a statement of its own: its snapshot sees what the lock has waited for.
  -- Two queries: `is not distinct from` would not use the unique index.
  if admit.workspace_id is null then
    select r.answer, r.fingerprint, r.request_id = admit.request_id into admit.replay, v_fingerprint, admit.own
      from ops.request r
     where r.workspace_id is null and r.idempotency_key = admit.idempotency_key;
  else
    select r.answer, r.fingerprint, r.request_id = admit.request_id into admit.replay, v_fingerprint, admit.own
      from ops.request r
     where r.workspace_id = admit.workspace_id and r.idempotency_key = admit.idempotency_key;
  end if;
  if v_fingerprint <> decode(admit.fingerprint, 'hex') then
    perform ops.refuse('idempotency_key_reused');
  end if;
  if not admit.even_read_only and admit.replay is null then
    v_access := people.access_of(admit.workspace_id);
    if v_access.refusal is not null then
      perform ops.refuse(v_access.refusal, jsonb_build_object('reason', v_access.reason));
    end if;
  end if;
end
$$;
