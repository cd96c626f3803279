import { useState } from 'preact/hooks';
import { href, params, setParams } from '../app/router';
import { ago, duration } from '../format/time';
import { Icon } from '../ui/icons';
import { Badge, Filter, Labels, Loaded, Page, Segments, useLoad, type Tone } from '../ui/parts';
import { mayChange } from '../app/access';
import { ruleText } from './rule_text';
import { loadGroups, type Rule } from './rules_data';
import { silenceLink } from './silence_link';
import { SubNav } from './subnav';

const TONE: Record<string, Tone> = { firing: 'bad', pending: 'warn', inactive: 'ok' };
const ORDER: Record<string, number> = { firing: 0, pending: 1, inactive: 2 };

function RuleRow({ rule, group }: { rule: Rule; group: string }) {
  const [open, setOpen] = useState(false);
  const alerts = rule.alerts ?? [];
  const now = Date.now() / 1000;
  return (
    <>
      <tr class="alert-rule" data-alert={rule.name} data-state={rule.state}>
        <td>
          <Badge tone={TONE[rule.state ?? 'inactive']}>{rule.state}</Badge>
        </td>
        <td>
          <button type="button" class="quiet expand" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon name={open ? 'down' : 'right'} size={13} />
            <b>{rule.name}</b>
          </button>
        </td>
        <td class="faint clip">{group}</td>
        <td class="mono clip expr">
          <a href={href(`/query?g0.expr=${encodeURIComponent(rule.query)}&g0.tab=graph`)} title={rule.query}>
            {rule.query}
          </a>
        </td>
        <td>
          <Labels labels={rule.labels ?? {}} />
        </td>
        <td class="num dim">{rule.duration ? `for ${duration(rule.duration)}` : ''}</td>
        <td class="num">{alerts.length || ''}</td>
      </tr>
      {rule.lastError && (
        <tr>
          <td colSpan={7}>
            <div class="notice bad" role="alert">
              {rule.lastError}
            </div>
          </td>
        </tr>
      )}
      {(open || rule.state === 'firing') &&
        alerts.slice(0, open ? 200 : 5).map((a) => (
          <tr key={JSON.stringify(a.labels)} class="alert-instance" data-alert-state={a.state}>
            <td />
            <td colSpan={3}>
              <Labels labels={a.labels} hide={['alertname']} />
              {open && Object.entries(a.annotations ?? {}).map(([k, v]) => (
                <div class="dim wrap" key={k}>
                  <span class="faint">{k}</span> {v}
                </div>
              ))}
            </td>
            <td class="dim">
              {a.state} {ago(Date.parse(a.activeAt) / 1000, now)}
            </td>
            <td class="num mono">{Number(a.value).toPrecision(4).replace(/\.?0+$/, '')}</td>
            <td class="num">
              {mayChange() && (
                <a href={silenceLink(a.labels)} title="Silence this alert" aria-label={`Silence ${rule.name}`} data-silence-link>
                  <Icon name="mute" />
                </a>
              )}
            </td>
          </tr>
        ))}
      {open && (
        <tr>
          <td />
          <td colSpan={6}>
            <pre class="rule-text">{rule.query}</pre>
            <a class="button" href={href(`/query?g0.expr=${encodeURIComponent(rule.query)}&g0.tab=graph&g0.range_input=6h`)}>Evidence</a>{' '}
            <a class="button" href={href(`/query?g0.expr=${encodeURIComponent(`ALERTS{alertname="${rule.name}"}`)}&g0.tab=graph&g0.range_input=1d`)}>History</a>{' '}
            <a class="button" href={href(`/rehearse?rules=${encodeURIComponent(ruleText(rule))}`)}>Rehearse an edit</a>
            {alerts.length === 0 && <span class="faint">No instance is pending or firing.</span>}
          </td>
        </tr>
      )}
    </>
  );
}

export function Alerts() {
  const load = useLoad((signal) => loadGroups('alert', signal), [], 5);
  const search = params.value.get('search') ?? '';
  const state = (params.value.get('state') ?? 'all') as 'all' | 'firing' | 'pending' | 'inactive';
  return (
    <Page
      name="alerts"
      title="Alerts"
      aside={
        <>
          <Segments label="State" value={state} options={[['all', 'All'], ['firing', 'Firing'], ['pending', 'Pending'], ['inactive', 'Inactive']]} onPick={(v) => setParams({ state: v === 'all' ? '' : v })} />
          <Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter alerts" placeholder="Filter by name or label" />
        </>
      }
    >
      <SubNav of="alerts" />
      <Loaded load={load}>
        {(groups) => {
          const rules = groups.flatMap((g) => g.rules.map((rule) => ({ rule, group: g.name, key: g.file + g.name + rule.name + rule.query })));
          if (rules.length === 0) {
            return (
              <div class="card empty">
                <h2>No alerting rules</h2>
                <p>
                  Rules come from the files named under <code>rule_files</code>.
                </p>
              </div>
            );
          }
          const words = search.toLowerCase().split(/\s+/).filter(Boolean);
          const found = rules
            .filter(({ rule, group }) => {
              if (state !== 'all' && rule.state !== state) return false;
              const text = `${rule.name} ${group} ${JSON.stringify(rule.labels)} ${JSON.stringify((rule.alerts ?? []).map((a) => a.labels))}`.toLowerCase();
              return words.every((w) => text.includes(w));
            })
            .sort((a, b) => ORDER[a.rule.state ?? ''] - ORDER[b.rule.state ?? ''] || a.rule.name.localeCompare(b.rule.name));
          return (
            <section class="card table-scroll">
              <table class="alerts">
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Rule</th>
                    <th scope="col">Group</th>
                    <th scope="col">Expression</th>
                    <th scope="col">Labels</th>
                    <th scope="col" class="num">
                      For
                    </th>
                    <th scope="col" class="num">
                      Active
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {found.map(({ rule, group, key }) => (
                    <RuleRow key={key} rule={rule} group={group} />
                  ))}
                </tbody>
              </table>
              {found.length === 0 && <div class="empty">No rule fits this filter.</div>}
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
