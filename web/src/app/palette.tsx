import { useEffect, useRef, useState } from 'preact/hooks';
import { get, plain } from '../api/client';
import { Icon } from '../ui/icons';

interface Entry {
  kind: 'page' | 'metric' | 'dashboard' | 'target';
  text: string;
  to: string;
}

const PAGES: [string, string][] = [
  ['Overview', '/'],
  ['Explore', '/query'],
  ['Dashboards', '/dashboards'],
  ['Alerts', '/alerts'],
  ['Rules', '/rules'],
  ['Notifications', '/alerting'],
  ['Silences', '/silences'],
  ['Targets', '/targets'],
  ['Service discovery', '/service-discovery'],
  ['Agents', '/agents'],
  ['Rehearsal of rules', '/rehearse'],
  ['Running queries', '/queries'],
  ['Status', '/status'],
  ['TSDB status', '/tsdb-status'],
  ['Flags', '/flags'],
  ['Configuration', '/config'],
];
const SHOWN = 40;

let cache: Entry[] | null = null;

async function everything(): Promise<Entry[]> {
  const [names, boards, targets] = await Promise.allSettled([
    get<string[]>('label/__name__/values'),
    plain<{ uid: string; title: string; url: string }[]>('api/search?type=dash-db'),
    get<{ activeTargets: { labels: Record<string, string> }[] }>('targets', { state: 'active', discovered: 'false' }),
  ]);
  const out: Entry[] = PAGES.map(([text, to]) => ({ kind: 'page', text, to }));
  if (boards.status === 'fulfilled') for (const b of boards.value ?? []) out.push({ kind: 'dashboard', text: b.title, to: `/d/${encodeURIComponent(b.uid)}` });
  if (targets.status === 'fulfilled') {
    const seen = new Set<string>();
    for (const t of targets.value.data.activeTargets) {
      const text = t.labels.instance ?? '';
      if (text !== '' && !seen.has(text)) out.push({ kind: 'target', text, to: `/targets?search=${encodeURIComponent(text)}` });
      seen.add(text);
    }
  }
  if (names.status === 'fulfilled') for (const n of names.value.data) out.push({ kind: 'metric', text: n, to: `/query?g0.expr=${encodeURIComponent(n)}&g0.tab=graph` });
  return out;
}

// Every word must occur; where it begins the text, and short texts, come first.
function rank(entries: Entry[], query: string): Entry[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const scored: [number, Entry][] = [];
  for (const entry of entries) {
    const text = entry.text.toLowerCase();
    let score = entry.kind === 'metric' ? 20 : 0;
    let all = true;
    for (const word of words) {
      const at = text.indexOf(word);
      if (at < 0) {
        all = false;
        break;
      }
      score += at === 0 ? 0 : at;
    }
    if (all) scored.push([score + text.length / 50, entry]);
  }
  return scored
    .sort((a, b) => a[0] - b[0])
    .slice(0, SHOWN)
    .map(([, e]) => e);
}

export function Palette({ onClose, onGo }: { onClose: () => void; onGo: (to: string) => void }) {
  const [entries, setEntries] = useState<Entry[]>(cache ?? PAGES.map(([text, to]) => ({ kind: 'page', text, to })));
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current!.showModal();
    void everything().then((all) => {
      cache = all;
      setEntries(all);
    });
  }, []);
  const found = rank(entries, query);
  const choose = (entry: Entry | undefined): void => {
    if (!entry) return;
    onClose();
    onGo(entry.to);
  };
  return (
    <dialog ref={box} class="dialog palette" aria-label="Command palette" onCancel={(e) => (e.preventDefault(), onClose())} onClick={(e) => e.target === box.current && onClose()}>
      <div class="dialog-body">
        <input
          class="palette-input"
          autofocus
          aria-label="Search everything"
          placeholder="Metric, dashboard, target, page"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={found[at] ? `palette-${at}` : undefined}
          spellcheck={false}
          value={query}
          onInput={(e) => (setQuery(e.currentTarget.value), setAt(0))}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown') setAt(Math.min(found.length - 1, at + 1));
            else if (e.key === 'ArrowUp') setAt(Math.max(0, at - 1));
            else if (e.key === 'Enter') choose(found[at]);
            else return;
            e.preventDefault();
          }}
        />
        <ul id="palette-list" role="listbox" aria-label="Results">
          {found.map((entry, i) => (
            <li
              key={entry.kind + entry.to}
              id={`palette-${i}`}
              role="option"
              aria-selected={i === at}
              onMouseMove={() => setAt(i)}
              onClick={() => choose(entry)}
              ref={(el) => {
                if (i === at) el?.scrollIntoView({ block: 'nearest' });
              }}
            >
              <Icon name={entry.kind === 'metric' ? 'right' : entry.kind === 'dashboard' ? 'book' : entry.kind === 'target' ? 'globe' : 'list'} size={14} />
              <span class={entry.kind === 'metric' ? 'mono clip' : 'clip'}>{entry.text}</span>
              <span class="faint">{entry.kind}</span>
            </li>
          ))}
          {found.length === 0 && <li class="dim">Nothing has “{query}” in its name.</li>}
        </ul>
      </div>
    </dialog>
  );
}
