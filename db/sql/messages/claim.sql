-- messages.claim: messages of a channel that are due, each for one Worker until `lease` has passed.
-- Guarantees: of callers at once, one gets a message; what a Worker that died had claimed is due again by time. A message that
--   was claimed 14 times and never settled is dead, under an alarm.
-- Locks: the messages' rows, SKIP LOCKED. Callers: worker
create or replace function messages.claim(
  channel text,
  batch integer,
  lease interval,
  out ids uuid[],
  out kinds text[],
  out bodies jsonb[],
  out tokens uuid[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_message record;
  v_token uuid;
begin
  claim.ids := '{}';
  claim.kinds := '{}';
  claim.bodies := '{}';
  claim.tokens := '{}';
  for v_message in
    select o.id, o.kind, o.body, o.attempts, o.state from messages.outbox o
     where o.channel = claim.channel and o.due_at <= (select ops.now())
     order by o.due_at, o.id
     limit claim.batch
       for no key update skip locked
  loop
    if v_message.attempts >= 14 and v_message.state = 'sending' then
      update messages.outbox o
         set state = 'dead', due_at = null, lease_token = null, leased_until = null,
             error = coalesce(o.error, 'whoever sent it never came back'), settled_at = ops.now()
       where o.id = v_message.id;
      perform ops.raise_alarm('message_dead', v_message.id::text, jsonb_build_object('kind', v_message.kind));
    else
      v_token := uuidv7();
      update messages.outbox o
         set state = 'sending', attempts = o.attempts + 1, lease_token = v_token, leased_until = ops.now() + claim.lease,
             due_at = ops.now() + claim.lease
       where o.id = v_message.id;
      claim.ids := claim.ids || v_message.id;
      claim.kinds := claim.kinds || v_message.kind;
      claim.bodies := claim.bodies || v_message.body;
      claim.tokens := claim.tokens || v_token;
    end if;
  end loop;
end
$$;
