-- payments.create_campaign: promo codes that have one cap and one window together. Guarantees: an audit row in the same statement.
-- Refuses: campaign_exists; constraints campaign_*. Callers: worker
create or replace function payments.create_campaign(
  inout name text,
  inout max_redemptions bigint,
  inout starts_at timestamptz,
  inout ends_at timestamptz,
  caused_by text,
  out id uuid,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  create_campaign.id := uuidv7();
  create_campaign.created_at := ops.now();
  insert into payments.campaign (id, name, max_redemptions, starts_at, ends_at, created_at)
  values (create_campaign.id, create_campaign.name, create_campaign.max_redemptions, create_campaign.starts_at,
          create_campaign.ends_at, create_campaign.created_at)
  on conflict on constraint campaign_name_once do nothing;
  if not found then
    perform ops.refuse('campaign_exists');
  end if;
  if create_campaign.max_redemptions is not null then
    perform ledger.set_limit(create_campaign.id, 'redemption', create_campaign.max_redemptions,
      'tg:campaign:' || create_campaign.id, create_campaign.caused_by);
  end if;
  perform ops.record_change(
    workspace_id => null, actor => create_campaign.caused_by, action => 'campaign.create',
    subject => 'campaign:' || create_campaign.id,
    detail => jsonb_build_object('name', create_campaign.name, 'max_redemptions', create_campaign.max_redemptions,
      'starts_at', create_campaign.starts_at, 'ends_at', create_campaign.ends_at));
end
$$;
