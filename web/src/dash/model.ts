// Grafana's dashboard JSON, old and new, as one kind of panel. What the file says is only read.
import { parseDuration } from '../format/time';
import { upgrade } from './legacy';
import type { Transformation } from './transform';

export type Json = any; // eslint-disable-line

export interface Target {
  refId: string;
  expr: string;
  legend: string;
  instant: boolean;
  range: boolean;
  both: boolean; // Instant and range at once.
  format: string;
  interval: string;
  factor: number;
  hide: boolean;
  panel: string; // Not empty: what this other panel asks.
}

export interface Override {
  matcher: { id: string; options: Json };
  properties: { id: string; value: Json }[];
}

export interface Panel {
  id: string;
  type: string;
  title: string;
  description: string;
  grid: { x: number; y: number; w: number; h: number };
  targets: Target[];
  defaults: Json;
  overrides: Override[];
  options: Json;
  transformations: Transformation[];
  interval: string;
  maxDataPoints: number | null;
  timeFrom: string;
  timeShift: string;
  repeat: string;
  repeatDirection: 'h' | 'v';
  maxPerRow: number;
  links: Json[];
  transparent: boolean;
  source: Json;
}

export interface Row {
  key: string;
  title: string;
  collapsed: boolean;
  repeat: string;
  panels: Panel[];
  implicit: boolean; // Panels above the first row.
}

export interface Variable {
  name: string;
  label: string;
  type: string;
  query: string;
  regex: string;
  sort: number;
  multi: boolean;
  includeAll: boolean;
  allValue: string;
  hide: number;
  refresh: number;
  options: { text: string; value: string }[];
  current: Json;
  auto: boolean;
  autoCount: number;
  autoMin: number;
  filters: { key: string; operator: string; value: string }[];
  description: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  rows: Row[];
  variables: Variable[];
  from: string;
  to: string;
  refresh: string;
  timezone: string;
  tags: string[];
  links: Json[];
  sharedTooltip: boolean;
  annotations: Annotation[];
}

export interface Annotation {
  name: string;
  expr: string;
  color: string;
  enabled: boolean;
  hidden: boolean;
  title: string;
  text: string;
  tagKeys: string[];
  step: string;
  valueForTime: boolean;
}

const text = (v: Json): string => (v === undefined || v === null ? '' : String(v));

function target(t: Json, index: number): Target {
  return {
    refId: t.refId ?? String.fromCharCode(65 + (index % 26)),
    expr: typeof t.expr === 'string' ? t.expr : '',
    legend: text(t.legendFormat),
    instant: t.instant === true && t.range !== true,
    both: t.instant === true && t.range === true,
    range: t.range === true,
    format: t.format ?? 'time_series',
    interval: text(t.interval),
    factor: Number(t.intervalFactor) || 1,
    hide: t.hide === true,
    panel: t.panelId === undefined || t.panelId === null ? '' : String(t.panelId),
  };
}

// Panels without an id, or with one that is taken, get one of their own.
let loose = 0;
let taken = new Set<string>();

function idOf(id: Json): string {
  const own = id === undefined || id === null || taken.has(String(id)) ? `x${loose++}` : String(id);
  taken.add(own);
  return own;
}

function panel(p: Json, grid?: Panel['grid']): Panel {
  const up = upgrade(p);
  return {
    id: idOf(p.id),
    type: up.type,
    title: text(p.title),
    description: text(p.description),
    grid: grid ?? { x: p.gridPos?.x ?? 0, y: p.gridPos?.y ?? 0, w: p.gridPos?.w ?? 12, h: p.gridPos?.h ?? 8 },
    targets: (Array.isArray(p.targets) ? p.targets : []).map(target),
    defaults: up.defaults,
    overrides: up.overrides,
    options: up.options,
    transformations: [...(up.options.legacyTransform ? [up.options.legacyTransform] : []), ...(Array.isArray(p.transformations) ? p.transformations : [])],
    interval: text(p.interval),
    maxDataPoints: Number(p.maxDataPoints) || null,
    timeFrom: text(p.timeFrom),
    timeShift: text(p.timeShift),
    repeat: text(p.repeat),
    repeatDirection: p.repeatDirection === 'v' ? 'v' : 'h',
    maxPerRow: Number(p.maxPerRow) || 4,
    links: p.links ?? [],
    transparent: p.transparent === true,
    source: p,
  };
}

function variable(v: Json): Variable {
  const query = typeof v.query === 'string' ? v.query : (v.query?.query ?? (typeof v.definition === 'string' ? v.definition : ''));
  return {
    name: text(v.name),
    label: text(v.label) || text(v.name),
    type: v.type ?? 'query',
    query,
    regex: text(v.regex),
    sort: Number(v.sort) || 0,
    multi: v.multi === true,
    includeAll: v.includeAll === true,
    allValue: text(v.allValue),
    hide: Number(v.hide) || 0,
    refresh: Number(v.refresh) || 0,
    options: (v.options ?? []).map((o: Json) => ({ text: text(o.text), value: text(o.value) })),
    current: v.current ?? {},
    auto: v.auto === true,
    autoCount: Number(v.auto_count) || 30,
    autoMin: parseDuration(text(v.auto_min)) ?? 10,
    filters: (Array.isArray(v.filters) ? v.filters : []).map((f: Json) => ({ key: text(f.key), operator: text(f.operator) || '=', value: text(f.value) })),
    description: text(v.description),
  };
}

function annotation(a: Json): Annotation {
  return {
    name: text(a.name),
    expr: text(a.expr ?? a.target?.expr),
    color: text(a.iconColor) || 'blue',
    enabled: a.enable !== false,
    hidden: a.hide === true,
    title: text(a.titleFormat),
    text: text(a.textFormat),
    tagKeys: text(a.tagKeys).split(',').map((k) => k.trim()).filter(Boolean),
    step: text(a.step),
    valueForTime: a.useValueForTime === true || a.useValueForTime === 'on',
  };
}

export function parseDashboard(doc: Json): Dashboard {
  loose = 0;
  taken = new Set();
  const rows: Row[] = [];
  if (Array.isArray(doc.panels) && doc.panels.length > 0) {
    let row: Row = { key: 'top', title: '', collapsed: false, repeat: '', panels: [], implicit: true };
    rows.push(row);
    const ordered = doc.panels.slice().sort((a: Json, b: Json) => (a.gridPos?.y ?? 0) - (b.gridPos?.y ?? 0) || (a.gridPos?.x ?? 0) - (b.gridPos?.x ?? 0));
    for (const p of ordered) {
      if (p.type === 'row') {
        row = { key: `row-${p.id ?? rows.length}`, title: text(p.title), collapsed: p.collapsed === true, repeat: text(p.repeat), panels: (p.panels ?? []).map((q: Json) => panel(q)), implicit: false };
        rows.push(row);
      } else row.panels.push(panel(p));
    }
  } else {
    (doc.rows ?? []).forEach((r: Json, i: number) => {
      let x = 0;
      let y = 0;
      const height = Math.max(2, Math.ceil((parseInt(text(r.height), 10) || 250) / 38));
      const panels = (r.panels ?? []).map((p: Json) => {
        const w = Math.max(1, Math.min(24, Math.round((Number(p.span) || 4) * 2)));
        if (x + w > 24) {
          x = 0;
          y += height;
        }
        const made = panel(p, { x, y, w, h: p.height ? Math.max(2, Math.ceil((parseInt(text(p.height), 10) || 250) / 38)) : height });
        x += w;
        return made;
      });
      rows.push({ key: `row-${i}`, title: text(r.title), collapsed: r.collapse === true, repeat: text(r.repeat), panels, implicit: r.showTitle !== true && r.collapse !== true });
    });
  }
  const all = new Map(rows.flatMap((r) => r.panels).map((q) => [q.id, q]));
  for (const p of all.values()) if (p.targets.some((t) => t.panel !== '')) p.targets = p.targets.flatMap((t) => (t.panel === '' ? [t] : (all.get(t.panel)?.targets ?? []).filter((o) => o.panel === '')));
  return {
    uid: text(doc.uid),
    title: text(doc.title) || 'Dashboard',
    rows,
    variables: (doc.templating?.list ?? []).map(variable),
    from: doc.time?.from ?? 'now-1h',
    to: doc.time?.to ?? 'now',
    refresh: typeof doc.refresh === 'string' ? doc.refresh : '',
    timezone: text(doc.timezone),
    tags: doc.tags ?? [],
    links: doc.links ?? [],
    annotations: (Array.isArray(doc.annotations?.list) ? doc.annotations.list : []).map(annotation).filter((a: Annotation) => a.expr !== ''),
    sharedTooltip: doc.graphTooltip > 0 || doc.sharedCrosshair === true,
  };
}
