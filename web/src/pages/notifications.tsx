import { ApiError, plain } from '../api/client';
import { mayChange } from '../app/access';
import { href, params, setParams } from '../app/router';
import { ago } from '../format/time';
import { Icon } from '../ui/icons';
import { Badge, Filter, Labels, Loaded, Page, Segments, useLoad } from '../ui/parts';
import { FiredList, SentList } from './history';
import { matcherText, parseFilter, silenceLink } from './silence_link';
import { SubNav } from './subnav';

export interface AmAlert {
  fingerprint: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  status: { state: 'active' | 'suppressed' | 'unprocessed'; silencedBy: string[]; inhibitedBy: string[] };
}
interface AmGroup {
  labels: Record<string, string>;
  receiver: { name: string };
  alerts: AmAlert[];
}

export function NoAlertmanager() {
  return (
    <div class="card empty">
      <h2>No notifications here</h2>
      <p>This server does not answer Alertmanager's API: notifications and silences are kept elsewhere.</p>
    </div>
  );
}

const SHOWN = 200;

export const missing = (e: unknown): boolean => e instanceof ApiError && (e.status === 404 || e.status === 501);

export function Notifications() {
  const filter = params.value.get('filter') ?? '';
  const view = (params.value.get('view') ?? 'groups') as 'groups' | 'sent' | 'fired';
  const matchers = view === 'sent' ? [] : parseFilter(filter);
  const load = useLoad(
    async (signal) => {
      const query = new URLSearchParams();
      for (const m of matchers ?? []) query.append('filter', matcherText(m));
      try {
        return view === 'groups' ? await plain<AmGroup[]>('api/v2/alerts/groups?' + query, { signal }) : [];
      } catch (e) {
        if (missing(e)) return null;
        throw e;
      }
    },
    [filter, view],
    10,
  );
  return (
    <Page
      name="alerting"
      title="Notifications"
      aside={
        <>
          <Segments label="View" value={view} options={[['groups', 'Groups'], ['sent', 'Sent'], ['fired', 'Fired']]} onPick={(v) => setParams({ view: v === 'groups' ? '' : v })} />
          <Filter value={filter} onInput={(v) => setParams({ filter: v })} label={view === 'sent' ? 'Filter' : 'Matchers'} placeholder={view === 'sent' ? 'receiver, group, error' : 'severity="critical", job=~"a|b"'} />
          {mayChange() && view === 'groups' && (
            <a class="button" data-silence-filter href={href(`/silences/new?filter=${encodeURIComponent(filter)}`)}>
              <Icon name="mute" size={14} /> Silence these
            </a>
          )}
        </>
      }
    >
      <SubNav of="alerts" />
      {matchers === null && <div class="notice warn">These are no matchers yet: write name="value", separated by commas.</div>}
      {view === 'sent' && <SentList search={filter} />}
      {view === 'fired' && matchers && <FiredList matchers={matchers} />}
      {view === 'groups' && <Loaded load={load}>
        {(groups) => {
          if (groups === null) return <NoAlertmanager />;
          if (groups.length === 0) return <div class="card empty">No alerts{filter !== '' ? ' fit this filter' : ''}.</div>;
          return groups.map((g) => (
            <section class="card" key={JSON.stringify(g.labels) + g.receiver.name}>
              <div class="card-head">
                <Badge tone="accent" icon={false}>
                  {g.receiver.name}
                </Badge>
                <Labels labels={g.labels} />
                <span class="faint">{g.alerts.length === 1 ? '1 alert' : `${g.alerts.length} alerts`}</span>
                {mayChange() && (
                  <a class="aside" href={silenceLink(g.labels)}>
                    Silence group
                  </a>
                )}
              </div>
              <table class="grouped">
                <tbody>
                  {g.alerts.slice(0, SHOWN).map((a) => (
                    <tr key={a.fingerprint} data-alert-state={a.status.state}>
                      <td>
                        <Badge tone={a.status.state === 'active' ? 'bad' : 'unknown'}>{a.status.silencedBy.length > 0 ? 'silenced' : a.status.inhibitedBy.length > 0 ? 'inhibited' : a.status.state}</Badge>
                      </td>
                      <td>
                        <b>{a.labels.alertname}</b> <Labels labels={a.labels} hide={['alertname', ...Object.keys(g.labels)]} />
                        <div class="dim wrap">{a.annotations.summary ?? a.annotations.description}</div>
                      </td>
                      <td class="num dim nowrap">{ago(Date.parse(a.startsAt) / 1000, Date.now() / 1000)}</td>
                      <td class="num">
                        {a.status.silencedBy[0] ? (
                          <a href={href(`/silences/${a.status.silencedBy[0]}`)}>silence</a>
                        ) : !mayChange() ? null : (
                          <a href={silenceLink(a.labels)} aria-label={`Silence ${a.labels.alertname}`} title="Silence">
                            <Icon name="mute" />
                          </a>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {g.alerts.length > SHOWN && <p class="faint pad">+{g.alerts.length - SHOWN} more: add matchers to narrow</p>}
            </section>
          ));
        }}
      </Loaded>}
    </Page>
  );
}
