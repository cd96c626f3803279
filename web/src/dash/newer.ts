// Grafana's newer files: resources ({kind, metadata, spec}), and in them the schema after panels, of elements
// and layouts. Both become what files were until then, which the rest of this folder reads.
import { objects } from './legacy';
import type { Json } from './model';

const isObject = (v: Json): boolean => v !== null && typeof v === 'object' && !Array.isArray(v);
const hasElements = (doc: Json): boolean => isObject(doc?.elements) && isObject(doc?.layout);

export const isNewer = (doc: Json): boolean => hasElements(doc) || (isObject(doc?.spec) && !Array.isArray(doc.panels) && !Array.isArray(doc.rows));

export function classic(doc: Json): Json {
  const spec = isObject(doc?.spec) ? doc.spec : doc;
  const uid = doc?.metadata?.name ?? spec.uid;
  return hasElements(spec) ? { ...fromElements(spec), uid } : { ...spec, uid };
}

// A query says whom it asks by a kind or a group, and a name.
function sourceOf(spec: Json): Json {
  const query = spec?.query ?? {};
  const type = spec?.datasource?.type ?? (query.kind === 'DataQuery' ? query.group : query.kind);
  const uid = spec?.datasource?.uid ?? query.datasource?.name;
  return type === undefined && uid === undefined ? undefined : { type: type || undefined, uid };
}

function target(q: Json): Json {
  const spec = q?.spec ?? {};
  return { ...(spec.query?.spec ?? {}), refId: spec.refId, hide: spec.hidden === true, datasource: sourceOf(spec) };
}

// "kind" was the id of the transformation before it became "group".
const transformation = (t: Json): Json => ({ ...(t?.spec ?? {}), id: t?.group ?? t?.spec?.id ?? t?.kind });

function panel(element: Json): Json {
  const spec = element?.spec ?? {};
  if (element?.kind === 'LibraryPanel') return { id: spec.id, title: spec.title, libraryPanel: spec.libraryPanel };
  const viz = spec.vizConfig ?? {};
  const data = spec.data?.spec ?? {};
  return {
    ...(data.queryOptions ?? {}),
    id: spec.id,
    type: viz.group ?? viz.kind,
    title: spec.title,
    description: spec.description,
    links: spec.links,
    transparent: spec.transparent,
    options: viz.spec?.options,
    fieldConfig: viz.spec?.fieldConfig,
    targets: objects(data.queries).map(target),
    transformations: objects(data.transformations).map(transformation),
  };
}

interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
}

const COLUMNS = 24;
const ROW = 38; // Pixels of one row of the grid, with its gap.
const WIDTHS: Record<string, number> = { narrow: 192, standard: 448, wide: 768 };
const HEIGHTS: Record<string, number> = { short: 168, standard: 320, tall: 512 };

const count = (v: Json, otherwise: number): number => (Number.isFinite(Number(v)) && v !== null && v !== undefined ? Math.max(0, Math.round(Number(v))) : otherwise);

// The panels and rows of a layout from a height on, in the order in which they stand.
function laid(layout: Json, elements: Json, from: number, deep = 0): { panels: Json[]; height: number } {
  const out: Json[] = [];
  let height = from;
  const put = (item: Json, grid: Place): void => {
    const name = item?.element?.name;
    const element = typeof name === 'string' && Object.hasOwn(elements, name) ? elements[name] : undefined;
    if (!element) return;
    const repeat = item.repeat?.mode === 'variable' || item.repeat?.value ? { repeat: item.repeat.value, repeatDirection: item.repeat.direction, maxPerRow: item.repeat.maxPerRow } : {};
    out.push({ ...panel(element), ...repeat, gridPos: grid });
    height = Math.max(height, grid.y + grid.h);
  };
  const row = (spec: Json, title: Json, collapsed: boolean, inner: Json): void => {
    const made: Json = { type: 'row', title, collapsed, repeat: spec?.repeat?.value, gridPos: { x: 0, y: height, w: COLUMNS, h: 1 } };
    height++;
    const { panels, height: end } = laid(inner, elements, height, deep + 1);
    // Rows in rows have no place of their own in what files were: their panels stand in the outer one.
    if (deep > 0) out.push(...panels.filter((p) => p.type !== 'row'));
    else if (collapsed) out.push({ ...made, panels: panels.filter((p) => p.type !== 'row') });
    else out.push(made, ...panels);
    height = end;
  };
  if (deep > 8) return { panels: out, height };
  const spec = layout?.spec ?? {};
  switch (layout?.kind) {
    case 'GridLayout':
      for (const item of objects(spec.items)) {
        const s = item.spec ?? {};
        const grid = (g: Json, base: number): Place => ({ x: count(g?.x, 0), y: base + count(g?.y, 0), w: count(g?.width, 12), h: count(g?.height, 8) });
        if (item.kind !== 'GridLayoutRow') {
          put(s, grid(s, from));
          continue;
        }
        // What stands in such a row counts from the row, not from the board.
        const base = from + count(s.y, height - from) + 1;
        const made: Json = { type: 'row', title: s.title, collapsed: s.collapsed === true, repeat: s.repeat?.value, gridPos: { x: 0, y: base - 1, w: COLUMNS, h: 1 } };
        const before = out.length;
        for (const e of objects(s.elements)) put(e.spec ?? {}, grid(e.spec, base));
        const inside = out.splice(before);
        if (made.collapsed) out.push({ ...made, panels: inside });
        else out.push(made, ...inside);
      }
      break;
    case 'AutoGridLayout': {
      // Columns as wide as they are wanted, as many as fit on a page.
      const wanted = spec.columnWidthMode === 'custom' ? Number(spec.columnWidth) : (WIDTHS[spec.columnWidthMode] ?? WIDTHS.standard);
      const columns = Math.max(1, Math.min(count(spec.maxColumnCount, 3) || 1, Math.floor(1400 / (wanted > 0 ? wanted : WIDTHS.standard)) || 1, COLUMNS));
      const pixels = spec.rowHeightMode === 'custom' ? Number(spec.rowHeight) : (HEIGHTS[spec.rowHeightMode] ?? HEIGHTS.standard);
      const h = Math.max(2, Math.round((pixels > 0 ? pixels : HEIGHTS.standard) / ROW));
      const w = Math.floor(COLUMNS / columns);
      objects(spec.items).forEach((item, i) => put(item.spec ?? {}, { x: (i % columns) * w, y: from + Math.floor(i / columns) * h, w, h }));
      break;
    }
    case 'RowsLayout':
      for (const r of objects(spec.rows)) {
        // Without a head only before the first row that has one: behind it, panels are that row's.
        if (r.spec?.hideHeader === true && deep === 0 && !r.spec?.repeat && !out.some((p) => p.type === 'row')) {
          const inner = laid(r.spec.layout, elements, height, deep + 1);
          out.push(...inner.panels);
          height = inner.height;
        } else row(r.spec, r.spec?.title, r.spec?.collapse === true, r.spec?.layout);
      }
      break;
    case 'TabsLayout':
      // One below the other, the first one open.
      objects(spec.tabs).forEach((t, i) => row(t.spec, t.spec?.title, i > 0, t.spec?.layout));
  }
  return { panels: out, height };
}

const TYPES: Record<string, string> = { QueryVariable: 'query', CustomVariable: 'custom', DatasourceVariable: 'datasource', IntervalVariable: 'interval', ConstantVariable: 'constant', TextVariable: 'textbox', AdhocVariable: 'adhoc', GroupByVariable: 'groupby', SwitchVariable: 'switch' };
const HIDE: Record<string, number> = { dontHide: 0, hideLabel: 1, hideVariable: 2, inControlsMenu: 0 };
const REFRESH: Record<string, number> = { never: 0, onDashboardLoad: 1, onTimeRangeChanged: 2 };
const SORT = ['disabled', 'alphabeticalAsc', 'alphabeticalDesc', 'numericalAsc', 'numericalDesc', 'alphabeticalCaseInsensitiveAsc', 'alphabeticalCaseInsensitiveDesc', 'naturalAsc', 'naturalDesc'];

function variable(v: Json): Json {
  const s = v?.spec ?? {};
  const made: Json = { ...s, type: TYPES[v?.kind] ?? v?.kind, hide: HIDE[s.hide] ?? s.hide, refresh: REFRESH[s.refresh] ?? s.refresh, sort: SORT.indexOf(s.sort) >= 0 ? SORT.indexOf(s.sort) : s.sort };
  if (v?.kind === 'QueryVariable') {
    const inner = s.query?.spec ?? {};
    // A query of one's own words had to be an object somewhere.
    made.query = typeof s.query === 'string' ? s.query : typeof inner.__legacyStringValue === 'string' ? inner.__legacyStringValue : inner;
    made.datasource = sourceOf(s);
  }
  if (v?.kind === 'DatasourceVariable') made.query = s.pluginId;
  if (typeof s.current === 'string') made.current = { text: s.current, value: s.current };
  if (v?.kind === 'SwitchVariable') made.options = [s.enabledValue ?? 'true', s.disabledValue ?? 'false'].map((x) => ({ text: String(x), value: String(x) }));
  return made;
}

function annotation(a: Json): Json {
  const s = a?.spec ?? {};
  return { ...(s.legacyOptions ?? {}), ...(s.query?.spec ?? {}), name: s.name, enable: s.enable, hide: s.hide, iconColor: s.iconColor, filter: s.filter, datasource: sourceOf(s) };
}

function fromElements(spec: Json): Json {
  const times = spec.timeSettings ?? {};
  return {
    title: spec.title,
    tags: spec.tags,
    links: spec.links,
    timezone: times.timezone,
    time: { from: times.from, to: times.to },
    refresh: times.autoRefresh,
    graphTooltip: spec.cursorSync === 'Crosshair' ? 1 : spec.cursorSync === 'Tooltip' ? 2 : 0,
    templating: { list: objects(spec.variables).map(variable) },
    annotations: { list: objects(spec.annotations).map(annotation) },
    panels: laid(spec.layout, spec.elements, 0).panels,
    __inputs: spec.__inputs,
  };
}
