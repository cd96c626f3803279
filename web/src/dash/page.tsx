import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { get, plain, recovered } from '../api/client';
import { pageKeys } from '../app/keys';
import { go, href, params, path, restate, step } from '../app/router';
import { settings } from '../app/settings';
import { parseDuration, parseRelative, stamp } from '../format/time';
import { Icon } from '../ui/icons';
import { Failure, Menu, Page, Skeleton, useLoad } from '../ui/parts';
import '../styles/dash.css';
import { filterText, parseFilter } from './adhoc';
import { marksOf } from './annotations';
import { linksOf } from './links';
import { parseDashboard, type Dashboard, type Json, type Row, type Variable } from './model';
import { exploring, PanelView, type Context } from './panel';
import { chosen, place } from './place';
import { ALL, fill, resolve, type Chosen, type Scope } from './variables';

const RANGES: [string, string][] = [['now-5m', '5 minutes'], ['now-15m', '15 minutes'], ['now-30m', '30 minutes'], ['now-1h', '1 hour'], ['now-3h', '3 hours'], ['now-6h', '6 hours'], ['now-12h', '12 hours'], ['now-24h', '24 hours'], ['now-2d', '2 days'], ['now-7d', '7 days'], ['now-30d', '30 days'], ['now-90d', '90 days']];

// Few files are of Grafana's newer kinds: what reads those comes when one does.
async function read(doc: Json): Promise<Dashboard> {
  const newer = doc.spec !== undefined || doc.elements !== undefined;
  return parseDashboard(newer ? await import('./newer').then((m) => (m.isNewer(doc) ? m.classic(doc) : doc)) : doc);
}

export function DashboardPage() {
  const uid = decodeURIComponent(path.value.split('/')[2] ?? '');
  const load = useLoad((signal) => plain<{ dashboard: Json }>(`api/dashboards/uid/${encodeURIComponent(uid)}`, { signal }).then((a) => read(a.dashboard)), [uid]);
  const board = load.data;
  if (!board || (load.state === 'error' && !load.data)) {
    return (
      <Page name="dashboard" title="Dashboard">
        {load.state === 'error' ? <Failure error={load.error} again={load.again} /> : <Skeleton />}
      </Page>
    );
  }
  return <Board key={uid} board={{ ...board, uid: board.uid || uid }} fileUid={uid} />;
}

// How often the server scrapes decides what "$__rate_interval" is; asked once.
let scrapeInterval: Promise<number> | null = null;
function askScrapeInterval(): Promise<number> {
  scrapeInterval ??= get<{ yaml: string }>('status/config').then(
    (a) => parseDuration(/^\s+scrape_interval:\s*"?([\dywdhms]+)"?/m.exec(a.data.yaml)?.[1] ?? '') || 15,
    () => 15,
  );
  return scrapeInterval;
}

function Board({ board, fileUid }: { board: NonNullable<ReturnType<typeof parseDashboard>>; fileUid: string }) {
  const query = params.value;
  const from = query.get('from') ?? board.from;
  const to = query.get('to') ?? board.to;
  const refresh = query.get('refresh') ?? board.refresh;
  const only = query.get('viewPanel')?.replace(/^panel-/, '') ?? '';
  // The address first, then the file, then what this reader likes.
  const zone = (query.get('timezone') ?? query.get('tz') ?? board.timezone).toLowerCase();
  const utc = zone === 'utc' || (zone !== 'browser' && settings.value.timezone === 'utc');
  const [turn, setTurn] = useState(0);
  const [every, setEvery] = useState<number | null>(null);
  const [marks, setMarks] = useState<Context['marks']>([]);
  const live = refresh === 'live';
  useEffect(() => void askScrapeInterval().then(setEvery), []);
  const [scope, setScope] = useState<Scope | null>(null);
  const [open, setOpen] = useState<Record<string, boolean>>({});
  const times = useMemo(() => {
    const now = Date.now() / 1000;
    const b = parseRelative(to, now, true, utc) ?? now;
    const a = parseRelative(from, now, false, utc) ?? b - 3600;
    return { from: Math.min(a, b - 1), to: b, step: 1, interval: 15 };
  }, [from, to, utc, turn, recovered.value]);
  const asked = board.variables.map((v) => query.getAll(`var-${v.name}`).join('\u0000')).join('\u0001');
  const last = useRef<{ asked: string; scope: Scope } | null>(null);
  // Some variables are asked again whenever the time is another.
  const withTime = board.variables.some((v) => v.refresh === 2);
  useEffect(() => {
    const abort = new AbortController();
    let changed: string | null = null;
    if (last.current) {
      const before = last.current.asked.split('\u0001');
      const differ = board.variables.filter((_, i) => before[i] !== asked.split('\u0001')[i]);
      changed = differ.length === 1 ? differ[0].name : null;
    }
    resolve(board, query, times, abort.signal, changed !== null ? last.current!.scope : {}, changed).then(
      (s) => {
        // The same as before: nothing that looks at it needs to look again.
        if (last.current && JSON.stringify(last.current.scope) === JSON.stringify(s)) s = last.current.scope;
        last.current = { asked, scope: s };
        setScope(s);
      },
      () => undefined,
    );
    return () => abort.abort();
  }, [asked, recovered.value, withTime ? times : null]);
  const off = query.getAll('annotations-off').join('\u0000');
  useEffect(() => {
    if (!scope || board.annotations.length === 0) return;
    const abort = new AbortController();
    void marksOf(board, scope, times, off.split('\u0000'), abort.signal).then((m) => !abort.signal.aborted && setMarks(m));
    return () => abort.abort();
  }, [scope, times, off]);
  useEffect(() => {
    const seconds = live ? Math.max(1, every ?? 15) : parseDuration(refresh);
    if (!seconds) return;
    const timer = setInterval(() => !document.hidden && setTurn((n) => n + 1), Math.max(1, seconds) * 1000);
    return () => clearInterval(timer);
  }, [refresh, every]);

  const put = (values: Record<string, string | string[]>, push = false): void => {
    const next = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values)) {
      next.delete(name);
      for (const v of Array.isArray(value) ? value : [value]) if (v !== '' || name.startsWith('var-')) next.append(name, v);
    }
    (push ? step : restate)(next);
  };
  const zoom = (a: number, b: number): void => put({ from: String(Math.round(a * 1000)), to: String(Math.round(b * 1000)) }, true);
  const moved = (k: number): void => zoom(times.from + (k * (times.to - times.from)) / 2, times.to + (k * (times.to - times.from)) / 2);
  // With what is shown, not a frame later: a key means what the reader sees.
  useLayoutEffect(() => {
    pageKeys.value = {
      r: () => setTurn((n) => n + 1),
      '[': () => moved(-1),
      ']': () => moved(1),
      '-': () => zoom(times.from - (times.to - times.from) / 2, times.to + (times.to - times.from) / 2),
      '=': () => zoom(times.from + (times.to - times.from) / 4, times.to - (times.to - times.from) / 4),
      '0': () => put({ from: '', to: '' }),
      l: () => put({ refresh: live ? '' : 'live' }),
      v: () => {
        const id = panelUnderHand()?.dataset.panelId;
        if (id) put({ viewPanel: only === id ? '' : id }, true);
      },
      e: () => {
        const to = exploring.get(panelUnderHand() ?? document.body)?.();
        if (to && to !== '/query?') go(to);
      },
      t: () => document.querySelector<HTMLButtonElement>('.menu > button[title="Time range"]')?.click(),
      Escape: () => only !== '' && put({ viewPanel: '' }, true),
    };
    return () => {
      pageKeys.value = {};
    };
  });

  const context: Context | null = scope && every !== null ? { board, scope, from: times.from, to: times.to, turn, utc, onZoom: zoom, scrapeInterval: every, marks } : null;
  const title = scope ? fill(board.title, board, scope, times, 'text') : board.title;
  const rangeName = RANGES.find(([f]) => f === from && to === 'now')?.[1];
  return (
    <Page
      name="dashboard"
      title={title}
      aside={
        <>
          <Menu button={<><Icon name="clock" /> {rangeName ? `Last ${rangeName}` : `${stamp(times.from, utc)} to ${stamp(times.to, utc)}`}</>} label="Time range" worded>
            {(close) => RANGES.map(([f, name]) => (
              <button type="button" key={f} onClick={() => (put({ from: f, to: 'now' }), close())}>Last {name}</button>
            ))}
          </Menu>
          <select aria-label="Refresh every" value={live ? '' : refresh} onChange={(e) => put({ refresh: e.currentTarget.value })}>
            {[...new Set(['', '5s', '10s', '30s', '1m', '5m', '15m', ...(live ? [] : [refresh])])].map((r) => (
              <option key={r} value={r}>{r === '' ? 'no refresh' : `every ${r}`}</option>
            ))}
          </select>
          <button type="button" data-live={live ? 'on' : 'off'} aria-pressed={live} title="Live (l)" onClick={() => put({ refresh: live ? '' : 'live' })}>
            {live ? <i class="live-dot" /> : <Icon name="clock" />} {live ? `live · ${every ?? 15} s` : 'Live'}
          </button>
          <button type="button" class="quiet icon-button" aria-label="Refresh" title="Refresh (r)" onClick={() => setTurn((n) => n + 1)}>
            <Icon name="refresh" />
          </button>
          <a class="button" data-plain download={`${fileUid}.json`} href={href(`/api/dashboards/uid/${encodeURIComponent(fileUid)}/raw`)} aria-label="Download JSON" title="Download JSON">
            <Icon name="download" size={14} />
          </a>
        </>
      }
    >
      {scope === null || context === null ? <Skeleton /> : (
        <>
          <Variables board={board} scope={scope} put={put} />
          {board.rows.flatMap((row) => repeatRow(row, scope)).map(({ row, local, key }) => (
            <RowView key={key} row={row} local={local} context={context} only={only} view={(id) => put({ viewPanel: only === id ? '' : id }, true)} open={open[key] ?? !row.collapsed} toggle={(now) => setOpen((rows) => ({ ...rows, [key]: !now }))} title={fill(row.title, board, scope, times, 'text', local)} />
          ))}
        </>
      )}
    </Page>
  );
}

function repeatRow(row: Row, scope: Scope): { row: Row; local: Record<string, string>; key: string }[] {
  const values = row.repeat === '' ? [] : chosen(scope, row.repeat);
  if (values.length === 0) return [{ row, local: {}, key: row.key }];
  return values.map((v) => ({ row, local: { [row.repeat]: v }, key: `${row.key}-${v}` }));
}

// The panel under the pointer or the focus: what the keys "v" and "e" mean.
function panelUnderHand(): HTMLElement | null {
  const hovered = [...document.querySelectorAll<HTMLElement>('.panel:hover')].pop();
  return hovered ?? document.activeElement?.closest<HTMLElement>('.panel') ?? null;
}

type Put = (values: Record<string, string | string[]>, push?: boolean) => void;

function Variables({ board, scope, put }: { board: Dashboard; scope: Scope; put: Put }) {
  const shown = board.variables.filter((v) => v.hide !== 2 && v.type !== 'constant');
  const times = { from: Date.now() / 1000 - 3600, to: Date.now() / 1000, step: 15, interval: 15 };
  const links = (Array.isArray(board.links) ? board.links : []) as Json[];
  const marks = board.annotations.filter((a) => !a.hidden);
  if (shown.length === 0 && links.length === 0 && marks.length === 0) return null;
  const context = { board, scope, from: times.from, to: times.to, turn: 0, utc: true, onZoom: () => undefined, scrapeInterval: 15, marks: [] } as Context;
  const off = params.value.getAll('annotations-off');
  return (
    <div class="variables">
      {shown.map((v) => <VariableControl key={v.name} v={v} c={scope[v.name]} put={put} />)}
      {marks.map((a) => (
        <label class="check" key={a.name}>
          <input type="checkbox" checked={a.enabled !== off.includes(a.name)} onChange={() => put({ 'annotations-off': off.includes(a.name) ? off.filter((x) => x !== a.name) : [...off, a.name] })} /> {a.name}
        </label>
      ))}
      {links.length > 0 && (
        <span class="board-links">
          {links.filter((l) => l?.type !== 'dashboards').flatMap((l) => linksOf([l], context)).map((l) => <a class="button" key={l.url + l.title} href={l.inside ? href(l.url) : l.url} target={l.blank ? '_blank' : undefined} rel="noreferrer">{l.title}</a>)}
          {links.filter((l) => l?.type === 'dashboards').map((l, i) => <TagLinks key={i} link={l} context={context} />)}
        </span>
      )}
    </div>
  );
}

// A link to all dashboards with some tags: a menu, or one button each.
function TagLinks({ link, context }: { link: Json; context: Context }) {
  const tags: string[] = Array.isArray(link.tags) ? link.tags.map(String) : [];
  const load = useLoad((signal) => plain<{ uid: string; title: string; tags: string[] }[]>('api/search?type=dash-db', { signal }), []);
  const found = (load.data ?? []).filter((d) => tags.every((t) => d.tags.includes(t)) && d.uid !== context.board.uid).slice(0, 60);
  const made = found.flatMap((d) => linksOf([{ title: d.title, url: `/d/${encodeURIComponent(d.uid)}`, includeVars: link.includeVars, keepTime: link.keepTime, targetBlank: link.targetBlank }], context));
  if (made.length === 0) return null;
  const one = (l: (typeof made)[0], plainLink: boolean) => <a class={plainLink ? 'button' : undefined} key={l.url} href={href(l.url)} target={l.blank ? '_blank' : undefined} rel="noreferrer">{l.title}</a>;
  return link.asDropdown ? <Menu align="left" worded label={String(link.title || tags.join(', '))} button={<>{String(link.title || tags.join(', '))} <Icon name="down" size={13} /></>}>{() => made.map((l) => one(l, false))}</Menu> : <>{made.map((l) => one(l, true))}</>;
}

function VariableControl({ v, c, put }: { v: Variable; c: Chosen; put: Put }) {
  const [search, setSearch] = useState('');
  const pick = (values: string[]): void => put({ [`var-${v.name}`]: values.map((x) => (x === ALL ? 'All' : x)) });
  const name = v.hide !== 1 && v.label;
  if (v.type === 'textbox') return <label class="check">{name}<input aria-label={v.label} data-variable={v.name} value={c.values[0]} onChange={(e) => pick([e.currentTarget.value])} /></label>;
  if (v.type === 'adhoc') {
    return (
      <span class="check" data-variable={v.name}>
        {name}
        {c.values.map((t) => <button type="button" class="label" key={t} title="Remove" onClick={() => pick(c.values.length > 1 ? c.values.filter((x) => x !== t) : [''])}>{t.split('|').join(' ').replace(/__gfp__/g, '|')} ×</button>)}
        <input size={18} placeholder="label=value" aria-label={`Add to ${v.label}`} onChange={(e) => {
          const m = /^\s*([^=!~\s]+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$/.exec(e.currentTarget.value);
          if (!m || !parseFilter(filterText({ key: m[1], operator: m[2], value: m[3] }))) return;
          pick([...c.values, filterText({ key: m[1], operator: m[2], value: m[3] })]);
          e.currentTarget.value = '';
        }} />
      </span>
    );
  }
  const long = c.options.length > 30;
  if (v.multi || long) {
    const found = c.options.filter((o) => o.text.toLowerCase().includes(search.toLowerCase()));
    return (
      <div class="check" data-variable={v.name}>
        {name}
        <Menu align="left" worded label={v.label} button={<><span class="clip variable-value">{c.texts.join(' + ') || 'none'}</span><Icon name="down" size={13} /></>}>
          {(close) => (
            <>
              {long && <input type="search" aria-label={`Search ${v.label}`} value={search} onInput={(e) => setSearch(e.currentTarget.value)} />}
              {found.slice(0, 300).map((o) => {
                const on = c.values.includes(o.value);
                return v.multi ? (
                  <label class="option" key={o.value}>
                    <input type="checkbox" checked={on} onChange={() => pick(o.value === ALL ? [ALL] : on ? c.values.filter((x) => x !== o.value) : [...c.values.filter((x) => x !== ALL), o.value])} /> {o.text}
                  </label>
                ) : (
                  <button type="button" key={o.value} aria-pressed={on} onClick={() => (pick([o.value]), close())}>{o.text}</button>
                );
              })}
              {found.length > 300 && <p class="faint pad">+{found.length - 300} more: type to narrow</p>}
            </>
          )}
        </Menu>
      </div>
    );
  }
  return (
    <label class="check" title={c.error || v.description}>
      {name}
      <select aria-label={v.label} data-variable={v.name} value={c.values[0]} onChange={(e) => pick([e.currentTarget.value])}>
        {c.options.map((o) => <option key={o.value} value={o.value}>{o.text}</option>)}
      </select>
      {c.error && <Icon name="warn" size={13} />}
    </label>
  );
}

function RowView({ row, local, context, only, open, toggle, title, view }: { row: Row; local: Record<string, string>; context: Context; only: string; open: boolean; toggle: (now: boolean) => void; title: string; view: (id: string) => void }) {
  const placed = place(only === '' ? row.panels : row.panels.filter((p) => p.id === only), context.scope, local);
  if (only !== '' && placed.length === 0) return null;
  return (
    <section class="board-row">
      {!row.implicit && only === '' && (
        <button type="button" class="row-head" data-row-toggle aria-expanded={open} onClick={() => toggle(open)}>
          <Icon name={open ? 'down' : 'right'} size={14} />
          {title || 'Row'}
          {!open && <span class="faint">{row.panels.length} panels</span>}
        </button>
      )}
      {(open || only !== '') && (
        <div class="board">
          {placed.map((p) => (
            <div
              key={p.panel.id + (p.repeat ?? '')}
              class="cell"
              style={only !== '' ? { gridColumn: '1 / -1', gridRow: '1 / span 20' } : { gridColumn: `${p.grid.x + 1} / span ${p.grid.w}`, gridRow: `${p.grid.y + 1} / span ${p.grid.h}` }}
            >
              <PanelView panel={p.panel} context={context} local={p.local} repeat={p.repeat} open={() => view(p.panel.id)} />
            </div>
          ))}
        </div>
      )}
    </section>
  );
}
