import { useMemo, useState } from 'preact/hooks';
import { get } from '../api/client';
import { Badge, Dialog, Filter, Loaded, useLoad, Virtual } from '../ui/parts';

type Metadata = Record<string, { type: string; help: string; unit: string }[]>;

// Every metric there is, with its type and help; a click asks for it.
export function MetricExplorer({ onPick, onClose }: { onPick: (name: string) => void; onClose: () => void }) {
  const [text, setText] = useState('');
  const load = useLoad(async (signal) => {
    const [names, metadata] = await Promise.all([get<string[]>('label/__name__/values', {}, signal), get<Metadata>('metadata', {}, signal).catch(() => ({ data: {} as Metadata }))]);
    return { names: names.data, metadata: metadata.data };
  }, []);
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return (load.data?.names ?? []).filter((n) => words.every((w) => n.toLowerCase().includes(w)));
  }, [text, load.data]);
  return (
    <Dialog title="Metrics" onClose={onClose} wide>
      <Filter value={text} onInput={setText} label="Filter metrics" />
      <span class="faint"> {found.length} metrics</span>
      <Loaded load={load}>
        {({ metadata }) => (
          <div class="metric-list">
            <Virtual count={found.length} rowHeight={42} height={460}>
              {(i) => {
                const about = metadata[found[i]]?.[0];
                return (
                  <button type="button" class="metric-row" key={found[i]} onClick={() => onPick(found[i])}>
                    <span class="clip">
                      {found[i]}
                      <small class="clip">{about?.help ?? '\u00a0'}</small>
                    </span>
                    {about?.type && (
                      <Badge tone="unknown" icon={false}>
                        {about.type}
                      </Badge>
                    )}
                  </button>
                );
              }}
            </Virtual>
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}
