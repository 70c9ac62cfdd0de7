-- messages.claim: messages of a channel that are due, each for one Worker until `lease` has passed. Where several endpoints are told,
-- one that fails does not fill the batch: its messages wait until it is tried again.
-- Guarantees: of callers at once, one gets a message; what a Worker that died had claimed is due again by time. A message that was
--   claimed as often as its channel tries and never settled is dead, under an alarm. What has lost its reason is canceled, and never sent.
--   While the channel's circuit is open nobody gets any; after that, one message by way of trial.
-- `examined`: how many were due, sent or not: less than `batch` is all. `careful`: the channel failed last, so one at a time.
-- Locks: the messages' rows, SKIP LOCKED. Callers: worker
create or replace function messages.claim(
  channel text,
  batch integer,
  lease interval,
  out ids uuid[],
  out kinds text[],
  out bodies jsonb[],
  out tokens uuid[],
  out attempts integer[],
  out workspace_ids uuid[],
  out contact_ids uuid[],
  out endpoint_ids uuid[],
  out created_ats timestamptz[],
  out examined integer,
  out careful boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_channel record;
  v_message record;
  v_token uuid;
begin
  claim.ids := '{}';
  claim.kinds := '{}';
  claim.bodies := '{}';
  claim.tokens := '{}';
  claim.attempts := '{}';
  claim.workspace_ids := '{}';
  claim.contact_ids := '{}';
  claim.endpoint_ids := '{}';
  claim.created_ats := '{}';
  claim.examined := 0;
  v_channel := messages.attend(claim.channel);
  claim.careful := v_channel.failures > 0;
  if v_channel.open_until > v_now then
    return;
  end if;
  perform messages.hold_back(claim.channel);
  for v_message in
    select o.id, o.kind, o.body, o.attempts, o.state, o.workspace_id, o.contact_id, o.endpoint_id, o.broadcast_id, o.created_at, o.error
      from messages.outbox o
     where o.channel = claim.channel and o.due_at <= v_now
     order by o.due_at, o.id
     limit claim.batch
       for no key update skip locked
  loop
    claim.examined := claim.examined + 1;
    if not messages.still_holds(v_message.kind, v_message.workspace_id, v_message.body, v_message.contact_id, v_message.endpoint_id) then
      update messages.outbox o
         set state = 'canceled', due_at = null, lease_token = null, leased_until = null, settled_at = v_now
       where o.id = v_message.id;
    elsif v_message.state = 'sending' and messages.next_attempt(claim.channel, v_message.attempts) is null then
      update messages.outbox o
         set state = 'dead', due_at = null, lease_token = null, leased_until = null,
             error = coalesce(o.error, 'whoever sent it never came back')
       where o.id = v_message.id;
      perform messages.bury(v_message.id, claim.channel, v_message.kind, v_message.endpoint_id, v_message.contact_id,
        coalesce(v_message.error, 'whoever sent it never came back'), silenced => false);
    elsif not (messages.endpoint_free(v_message.endpoint_id, v_message.endpoint_id = any (claim.endpoint_ids))
               and messages.broadcast_goes(v_message.broadcast_id)) then
      -- An endpoint that fails is tried with one message, and the others of it wait for that one's answer; a broadcast that was stopped
      -- waits for a person.
      update messages.outbox o
         set state = 'queued', lease_token = null, leased_until = null,
             due_at = v_now + case when messages.broadcast_goes(v_message.broadcast_id) then claim.lease else interval '1 day' end
       where o.id = v_message.id;
    else
      v_token := uuidv7();
      update messages.outbox o
         set state = 'sending', attempts = o.attempts + 1, lease_token = v_token, leased_until = v_now + claim.lease,
             due_at = v_now + claim.lease
       where o.id = v_message.id;
      claim.ids := claim.ids || v_message.id;
      claim.kinds := claim.kinds || v_message.kind;
      claim.bodies := claim.bodies || v_message.body;
      claim.tokens := claim.tokens || v_token;
      claim.attempts := claim.attempts || v_message.attempts + 1;
      claim.workspace_ids := claim.workspace_ids || v_message.workspace_id;
      claim.contact_ids := claim.contact_ids || v_message.contact_id;
      claim.endpoint_ids := claim.endpoint_ids || v_message.endpoint_id;
      claim.created_ats := claim.created_ats || v_message.created_at;
      -- By way of trial: one is sent, however many before it had nothing to say any more.
      exit when v_channel.failures >= 5;
    end if;
  end loop;
end
$$;
