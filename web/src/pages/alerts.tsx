import { useMemo, useState } from 'preact/hooks';
import { mayChange } from '../app/access';
import { href, params, setParams } from '../app/router';
import { ago, duration } from '../format/time';
import { thousands } from '../format/value';
import { Icon } from '../ui/icons';
import { lazy } from '../ui/lazy';
import { Badge, Filter, Labels, Loaded, Page, Segments, useLoad, Virtual, type Tone } from '../ui/parts';
import { ruleText } from './rule_text';
import { loadGroups, type AlertInstance, type Rule } from './rules_data';
import { silenceLink } from './silence_link';
import { SubNav } from './subnav';

const TONE: Record<string, Tone> = { firing: 'bad', pending: 'warn', inactive: 'ok' };
const ORDER: Record<string, number> = { firing: 0, pending: 1, inactive: 2 };
const SHOWN_CLOSED = 5;

interface Found {
  rule: Rule;
  group: string;
  key: string;
}

// What stands on one line of the list, and how high it is.
type Line =
  | { kind: 'rule'; of: Found; open: boolean; height: number }
  | { kind: 'error'; of: Found; height: number }
  | { kind: 'detail'; of: Found; height: number }
  | { kind: 'alert'; of: Found; alert: AlertInstance; open: boolean; height: number }
  | { kind: 'more'; of: Found; count: number; height: number };

const LINE = 26;

function linesOf(found: Found[], opened: Set<string>): Line[] {
  const out: Line[] = [];
  for (const of of found) {
    const open = opened.has(of.key);
    const alerts = of.rule.alerts ?? [];
    out.push({ kind: 'rule', of, open, height: LINE });
    if (of.rule.lastError) out.push({ kind: 'error', of, height: 52 });
    if (open) out.push({ kind: 'detail', of, height: 264 });
    if (!open && of.rule.state !== 'firing') continue;
    const shown = open ? alerts : alerts.slice(0, SHOWN_CLOSED);
    for (const alert of shown) {
      const rest = open ? Object.keys(alert.annotations ?? {}).filter((k) => k !== 'summary').length : 0;
      out.push({ kind: 'alert', of, alert, open, height: LINE + rest * 20 });
    }
    if (shown.length < alerts.length) out.push({ kind: 'more', of, count: alerts.length - shown.length, height: LINE });
  }
  return out;
}

// The chart comes when the first rule is opened.
const Evidence = lazy(() => import('./evidence').then((m) => m.Evidence), () => <div class="evidence-wait" aria-busy="true" />);

function Detail({ rule }: { rule: Rule }) {
  return (
    <div class="alert-detail">
      <pre class="rule-text" tabIndex={0}>{rule.query}</pre>
      <Evidence rule={rule} />
      <div class="line">
        <a class="button" href={href(`/query?g0.expr=${encodeURIComponent(rule.query)}&g0.tab=graph&g0.range_input=6h`)}>Explore</a>
        <a class="button" href={href(`/alerting?view=fired&filter=${encodeURIComponent(`{alertname=${JSON.stringify(rule.name)}}`)}`)}>History</a>
        <a class="button" data-rehearse-link href={href(`/rehearse?rules=${encodeURIComponent(ruleText(rule))}`)}>Rehearse an edit</a>
        {(rule.alerts ?? []).length === 0 && <span class="faint">No instance is pending or firing.</span>}
      </div>
    </div>
  );
}

function View({ line, now, toggle }: { line: Line; now: number; toggle: (key: string) => void }) {
  const { rule, group, key } = line.of;
  const style = { height: `${line.height}px` };
  if (line.kind === 'error') return <div class="alert-wide" style={style}><div class="notice bad" role="alert">{rule.lastError}</div></div>;
  if (line.kind === 'detail') return <div class="alert-wide" style={style}><Detail rule={rule} /></div>;
  if (line.kind === 'more') return <div class="alert-line instance" style={style}><span /><button type="button" class="quiet expand" onClick={() => toggle(key)}>+{thousands(line.count)} more</button></div>;
  if (line.kind === 'rule') {
    const alerts = rule.alerts ?? [];
    return (
      <div class="alert-line rule" style={style} data-alert={rule.name} data-state={rule.state}>
        <span><Badge tone={TONE[rule.state ?? 'inactive']}>{rule.state}</Badge></span>
        <button type="button" class="quiet expand" aria-expanded={line.open} onClick={() => toggle(key)}>
          <Icon name={line.open ? 'down' : 'right'} size={13} />
          <b class="clip">{rule.name}</b>
        </button>
        <span class="faint clip c-group" title={group}>{group}</span>
        <a class="mono clip c-expr" href={href(`/query?g0.expr=${encodeURIComponent(rule.query)}&g0.tab=graph`)} title={rule.query}>{rule.query}</a>
        <span class="one-line c-labels"><Labels labels={rule.labels ?? {}} /></span>
        <span class="num dim c-for">{rule.duration ? `for ${duration(rule.duration)}` : ''}</span>
        <span class="num">{alerts.length > 0 ? thousands(alerts.length) : ''}</span>
        <span />
      </div>
    );
  }
  const a = line.alert;
  const rest = line.open ? Object.entries(a.annotations ?? {}).filter(([k]) => k !== 'summary') : [];
  return (
    <div class="alert-line instance" style={style} data-alert-state={a.state}>
      <span class="num faint c-group">{a.state === 'pending' ? 'pending' : ''}</span>
      <span class="alert-what">
        <span class="one-line">
          <Labels labels={a.labels} hide={['alertname']} />
          {a.annotations?.summary && <span class="dim clip" title={a.annotations.summary}>{a.annotations.summary}</span>}
        </span>
        {rest.map(([k, v]) => (
          <span class="clip annotation" key={k} title={v}>
            <span class="faint">{k}</span> {/^https?:\/\//.test(v) ? <a href={v} rel="noreferrer" target="_blank">{v}</a> : <span class="dim">{v}</span>}
          </span>
        ))}
      </span>
      <span class="num dim nowrap c-for">{ago(Date.parse(a.activeAt) / 1000, now)}</span>
      <span class="num mono">{Number(a.value).toPrecision(4).replace(/\.?0+$/, '')}</span>
      <span class="num">
        {mayChange() && (
          <a class="mute" href={silenceLink(a.labels)} title="Silence this alert" aria-label={`Silence ${rule.name}`} data-silence-link>
            <Icon name="mute" />
          </a>
        )}
      </span>
    </div>
  );
}

export function Alerts() {
  const load = useLoad((signal) => loadGroups('alert', signal), [], 2);
  const search = params.value.get('search') ?? '';
  const state = (params.value.get('state') ?? 'all') as 'all' | 'firing' | 'pending' | 'inactive';
  const [opened, setOpened] = useState<Set<string>>(new Set());
  const toggle = (key: string): void =>
    setOpened((old) => {
      const next = new Set(old);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  const lines = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text: string): boolean => words.every((w) => text.toLowerCase().includes(w));
    const found: Found[] = [];
    for (const g of load.data ?? []) {
      for (const rule of g.rules) {
        if (state !== 'all' && rule.state !== state) continue;
        const own = `${rule.name} ${g.name} ${JSON.stringify(rule.labels)}`;
        const alerts = words.length === 0 || fits(own) ? rule.alerts : (rule.alerts ?? []).filter((a) => fits(own + JSON.stringify(a.labels)));
        if (words.length > 0 && !fits(own) && alerts?.length === 0) continue;
        found.push({ rule: { ...rule, alerts }, group: g.name, key: g.file + g.name + rule.name + rule.query });
      }
    }
    found.sort((a, b) => ORDER[a.rule.state ?? ''] - ORDER[b.rule.state ?? ''] || a.rule.name.localeCompare(b.rule.name));
    return linesOf(found, opened);
  }, [load.data, search, state, opened]);
  const heights = useMemo(() => lines.map((l) => l.height), [lines]);
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
          if (groups.every((g) => g.rules.length === 0)) {
            return (
              <div class="card empty">
                <h2>No alerting rules</h2>
                <p>
                  Rules come from the files named under <code>rule_files</code>.
                </p>
              </div>
            );
          }
          const now = Date.now() / 1000;
          return (
            <section class="card alert-list" data-lines={lines.length}>
              <div class="alert-line head" aria-hidden="true">
                <span>State</span>
                <span>Rule</span>
                <span class="c-group">Group</span>
                <span class="c-expr">Expression</span>
                <span class="c-labels">Labels</span>
                <span class="num c-for">For</span>
                <span class="num">Active</span>
                <span />
              </div>
              <Virtual count={lines.length} rowHeight={LINE} heights={heights}>
                {(i) => <View key={lines[i].kind + lines[i].of.key + (lines[i].kind === 'alert' ? JSON.stringify((lines[i] as { alert: AlertInstance }).alert.labels) : '')} line={lines[i]} now={now} toggle={toggle} />}
              </Virtual>
              {lines.length === 0 && <div class="empty">No rule fits this filter.</div>}
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
