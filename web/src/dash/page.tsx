import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { plain, recovered } from '../api/client';
import { pageKeys } from '../app/keys';
import { href, params, path, restate, step } from '../app/router';
import { settings } from '../app/settings';
import { parseDuration, parseRelative, stamp } from '../format/time';
import { Icon } from '../ui/icons';
import { Failure, Menu, Page, Skeleton, useLoad } from '../ui/parts';
import '../styles/dash.css';
import { parseDashboard, type Panel, type Row } from './model';
import { PanelView, type Context } from './panel';
import { ALL, fill, resolve, type Scope } from './variables';

const RANGES: [string, string][] = [['now-5m', '5 minutes'], ['now-15m', '15 minutes'], ['now-30m', '30 minutes'], ['now-1h', '1 hour'], ['now-3h', '3 hours'], ['now-6h', '6 hours'], ['now-12h', '12 hours'], ['now-24h', '24 hours'], ['now-2d', '2 days'], ['now-7d', '7 days'], ['now-30d', '30 days'], ['now-90d', '90 days']];

export function DashboardPage() {
  const uid = decodeURIComponent(path.value.split('/')[2] ?? '');
  const load = useLoad((signal) => plain<{ dashboard: unknown }>(`api/dashboards/uid/${encodeURIComponent(uid)}`, { signal }).then((a) => parseDashboard(a.dashboard)), [uid]);
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

function Board({ board, fileUid }: { board: NonNullable<ReturnType<typeof parseDashboard>>; fileUid: string }) {
  const query = params.value;
  const from = query.get('from') ?? board.from;
  const to = query.get('to') ?? board.to;
  const refresh = query.get('refresh') ?? board.refresh;
  const only = query.get('viewPanel')?.replace(/^panel-/, '') ?? '';
  const utc = query.get('tz') === 'utc' || (query.get('tz') === null && settings.value.timezone === 'utc');
  const [turn, setTurn] = useState(0);
  const [scope, setScope] = useState<Scope | null>(null);
  const [open, setOpen] = useState<Record<string, boolean>>({});
  const times = useMemo(() => {
    const now = Date.now() / 1000;
    const b = parseRelative(to, now, true) ?? now;
    const a = parseRelative(from, now, false) ?? b - 3600;
    return { from: Math.min(a, b - 1), to: b, step: 1, interval: 15 };
  }, [from, to, turn, recovered.value]);
  const asked = board.variables.map((v) => query.getAll(`var-${v.name}`).join('\u0000')).join('\u0001');
  const last = useRef<{ asked: string; scope: Scope } | null>(null);
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
        last.current = { asked, scope: s };
        setScope(s);
      },
      () => undefined,
    );
    return () => abort.abort();
  }, [asked, recovered.value]);
  useEffect(() => {
    const seconds = parseDuration(refresh);
    if (!seconds) return;
    const timer = setInterval(() => !document.hidden && setTurn((n) => n + 1), Math.max(1, seconds) * 1000);
    return () => clearInterval(timer);
  }, [refresh]);

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
  useEffect(() => {
    pageKeys.value = {
      r: () => setTurn((n) => n + 1),
      '[': () => moved(-1),
      ']': () => moved(1),
      '-': () => zoom(times.from - (times.to - times.from) / 2, times.to + (times.to - times.from) / 2),
      '=': () => zoom(times.from + (times.to - times.from) / 4, times.to - (times.to - times.from) / 4),
      '0': () => put({ from: '', to: '' }),
    };
    return () => {
      pageKeys.value = {};
    };
  });

  const context: Context | null = scope && { board, scope, from: times.from, to: times.to, turn, utc, onZoom: zoom, scrapeInterval: 15 };
  const title = scope ? fill(board.title, board, scope, times, 'text') : board.title;
  const rangeName = RANGES.find(([f]) => f === from && to === 'now')?.[1];
  return (
    <Page
      name="dashboard"
      title={title}
      aside={
        <>
          <Menu button={<><Icon name="clock" /> {rangeName ? `Last ${rangeName}` : `${stamp(times.from, utc)} to ${stamp(times.to, utc)}`}</>} label="Time range">
            {(close) => RANGES.map(([f, name]) => (
              <button type="button" key={f} onClick={() => (put({ from: f, to: 'now' }), close())}>Last {name}</button>
            ))}
          </Menu>
          <select aria-label="Refresh every" value={refresh} onChange={(e) => put({ refresh: e.currentTarget.value })}>
            {[...new Set(['', '5s', '10s', '30s', '1m', '5m', '15m', refresh])].map((r) => (
              <option key={r} value={r}>{r === '' ? 'no refresh' : `every ${r}`}</option>
            ))}
          </select>
          <button type="button" class="quiet icon-button" aria-label="Refresh" title="Refresh (r)" onClick={() => setTurn((n) => n + 1)}>
            <Icon name="refresh" />
          </button>
          <a class="button" data-plain download={`${fileUid}.json`} href={href(`/api/dashboards/uid/${encodeURIComponent(fileUid)}/raw`)} aria-label="Download JSON" title="Download JSON">
            <Icon name="download" size={14} />
          </a>
        </>
      }
    >
      {scope === null ? <Skeleton /> : (
        <>
          {board.variables.some((v) => v.hide !== 2 && v.type !== 'constant' && v.type !== 'adhoc') && (
            <div class="variables">
              {board.variables.filter((v) => v.hide !== 2 && v.type !== 'constant' && v.type !== 'adhoc').map((v) => {
                const c = scope[v.name];
                const pick = (values: string[]): void => put({ [`var-${v.name}`]: values.map((x) => (x === ALL ? 'All' : x)) });
                if (v.type === 'textbox') {
                  return <label key={v.name} class="check">{v.hide !== 1 && v.label}<input aria-label={v.label} data-variable={v.name} value={c.values[0]} onChange={(e) => pick([e.currentTarget.value])} /></label>;
                }
                if (v.multi) {
                  return (
                    <div key={v.name} class="check" data-variable={v.name}>
                      {v.hide !== 1 && v.label}
                      <Menu align="left" label={v.label} button={<><span class="clip variable-value">{c.texts.join(' + ') || 'none'}</span><Icon name="down" size={13} /></>}>
                        {() => c.options.slice(0, 500).map((o) => {
                          const on = c.values.includes(o.value);
                          return (
                            <label class="option" key={o.value}>
                              <input type="checkbox" checked={on} onChange={() => pick(o.value === ALL ? [ALL] : on ? c.values.filter((x) => x !== o.value) : [...c.values.filter((x) => x !== ALL), o.value])} /> {o.text}
                            </label>
                          );
                        })}
                      </Menu>
                    </div>
                  );
                }
                return (
                  <label key={v.name} class="check" title={c.error}>
                    {v.hide !== 1 && v.label}
                    <select aria-label={v.label} data-variable={v.name} value={c.values[0]} onChange={(e) => pick([e.currentTarget.value])}>
                      {c.options.map((o) => <option key={o.value} value={o.value}>{o.text}</option>)}
                    </select>
                    {c.error && <Icon name="warn" size={13} />}
                  </label>
                );
              })}
            </div>
          )}
          {board.rows.flatMap((row) => repeatRow(row, scope)).map(({ row, local, key }) => (
            <RowView key={key} row={row} local={local} context={context!} only={only} open={open[key] ?? !row.collapsed} toggle={(now) => setOpen({ ...open, [key]: !now })} title={fill(row.title, board, scope, times, 'text', local)} />
          ))}
        </>
      )}
    </Page>
  );
}

function chosen(scope: Scope, name: string): string[] {
  const c = scope[name];
  if (!c) return [];
  return c.values[0] === ALL ? c.options.map((o) => o.value).filter((v) => v !== ALL) : c.values;
}

function repeatRow(row: Row, scope: Scope): { row: Row; local: Record<string, string>; key: string }[] {
  const values = row.repeat === '' ? [] : chosen(scope, row.repeat);
  if (values.length === 0) return [{ row, local: {}, key: row.key }];
  return values.map((v) => ({ row, local: { [row.repeat]: v }, key: `${row.key}-${v}` }));
}

function RowView({ row, local, context, only, open, toggle, title }: { row: Row; local: Record<string, string>; context: Context; only: string; open: boolean; toggle: (now: boolean) => void; title: string }) {
  const placed: { panel: Panel; local: Record<string, string>; repeat?: string; grid: Panel['grid'] }[] = [];
  // Repeats push what is below them down.
  let push = 0;
  const base = row.panels.length > 0 ? Math.min(...row.panels.map((p) => p.grid.y)) : 0;
  for (const panel of row.panels) {
    if (only !== '' && panel.id !== only) continue;
    const values = panel.repeat === '' || local[panel.repeat] !== undefined ? [] : chosen(context.scope, panel.repeat);
    if (values.length === 0) {
      placed.push({ panel, local, grid: { ...panel.grid, y: panel.grid.y - base + push } });
      continue;
    }
    const across = panel.repeatDirection === 'v' ? 1 : Math.min(panel.maxPerRow, values.length);
    const w = panel.repeatDirection === 'v' ? panel.grid.w : Math.floor(24 / across);
    values.forEach((v, i) => {
      placed.push({ panel, local: { ...local, [panel.repeat]: v }, repeat: v, grid: { x: panel.repeatDirection === 'v' ? panel.grid.x : (i % across) * w, y: panel.grid.y - base + push + Math.floor(i / across) * panel.grid.h, w, h: panel.grid.h } });
    });
    push += (Math.ceil(values.length / across) - 1) * panel.grid.h;
  }
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
              style={only !== '' ? { gridColumn: '1 / -1', gridRow: '1 / span 20' } : { gridColumn: `${p.grid.x + 1} / span ${Math.max(1, Math.min(24 - p.grid.x, p.grid.w))}`, gridRow: `${p.grid.y + 1} / span ${Math.max(1, p.grid.h)}` }}
            >
              <PanelView panel={p.panel} context={context} local={p.local} repeat={p.repeat} />
            </div>
          ))}
        </div>
      )}
    </section>
  );
}
