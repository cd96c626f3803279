import { useEffect, useState } from 'preact/hooks';
import { ApiError, get, query } from '../api/client';
import { about } from '../format/time';
import { bytes, thousands } from '../format/value';
import { Failure, Skeleton } from '../ui/parts';
import type { TreeNode } from './codemirror';

// The tree of an expression with what each node answers and costs. The server's own plan where it has
// one; else each node is asked as a query of its own.
interface PlanNode {
  op: string;
  expr: string;
  type: string;
  stepInvariant?: boolean;
  selects?: { matchingSeries: number; minTime: number; maxTime: number };
  series?: number;
  points?: number;
  samplesRead?: number;
  bytesDecoded?: number;
  selfSeconds?: number;
  totalSeconds?: number;
  children: PlanNode[];
}
interface Plan {
  plan: PlanNode;
  totals?: { series: number; samplesRead: number; bytesDecoded: number; peakBytes: number; evalSeconds: number; queueSeconds: number };
}

function PlanTree({ node, most }: { node: PlanNode; most: number }) {
  const share = most > 0 && node.selfSeconds !== undefined ? node.selfSeconds / most : 0;
  const constant = /number|string/i.test(node.op);
  return (
    <li>
      <span class="tree-node" data-tree-node={node.op} title={node.expr}>
        <b>{node.op}</b>
        <span class="mono clip">{node.expr}</span>
        {!constant && (
          <small data-tree-count>
            {node.series !== undefined ? `${thousands(node.series)} series` : node.selects ? `${thousands(node.selects.matchingSeries)} series selected` : '– series'}
            {node.samplesRead ? ` · ${thousands(node.samplesRead)} samples` : ''}
            {node.bytesDecoded ? ` · ${bytes(node.bytesDecoded)}` : ''}
            {node.selfSeconds !== undefined ? ` · ${about(node.selfSeconds)}` : ''}
            {node.stepInvariant ? ' · once for all steps' : ''}
          </small>
        )}
        {share > 0 && (
          <span class="tree-cost" role="meter" aria-label="share of the time" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)}>
            <i style={{ width: `${Math.max(1, share * 100)}%` }} />
          </span>
        )}
      </span>
      {node.children.length > 0 && (
        <ul>
          {node.children.map((child, i) => (
            <PlanTree key={i + child.expr} node={child} most={most} />
          ))}
        </ul>
      )}
    </li>
  );
}

const slowest = (n: PlanNode): number => Math.max(n.selfSeconds ?? 0, ...n.children.map(slowest));

function Node({ node }: { node: TreeNode }) {
  const [seen, setSeen] = useState<{ count: number; ms: number } | { error: string } | null>(null);
  const constant = node.kind === 'StringLiteral' || node.kind.startsWith('Number');
  useEffect(() => {
    if (constant) return;
    const abort = new AbortController();
    query(node.text, Date.now() / 1000, abort.signal)
      .then((a) => setSeen({ count: a.data.resultType === 'vector' || a.data.resultType === 'matrix' ? a.data.result.length : 1, ms: a.ms }))
      .catch((e) => !abort.signal.aborted && setSeen({ error: e instanceof ApiError ? e.message : String(e) }));
    return () => abort.abort();
  }, [node.text]);
  return (
    <li>
      <span class="tree-node" data-tree-node={node.kind} title={node.text}>
        <span>{node.label}</span>
        {!constant && (
          <small data-tree-count>{seen === null ? '…' : 'error' in seen ? <span title={seen.error}>error</span> : `${seen.count} series · ${Math.round(seen.ms)} ms`}</small>
        )}
      </span>
      {node.children.length > 0 && (
        <ul>
          {node.children.map((child, i) => (
            <Node key={i + child.text} node={child} />
          ))}
        </ul>
      )}
    </li>
  );
}

type Seen = { kind: 'plan'; plan: Plan } | { kind: 'tree'; root: TreeNode | null } | { kind: 'error'; error: ApiError } | null;

export function Explain({ expr }: { expr: string }) {
  const [seen, setSeen] = useState<Seen>(null);
  useEffect(() => {
    const abort = new AbortController();
    setSeen(null);
    get<Plan>('explain', { query: expr, analyze: 'true', time: String(Date.now() / 1000) }, abort.signal).then(
      (a) => setSeen({ kind: 'plan', plan: a.data }),
      (e: ApiError) => {
        if (abort.signal.aborted) return;
        if (e.status !== 404 && e.status !== 405) setSeen({ kind: 'error', error: e });
        else void import('./codemirror').then((m) => !abort.signal.aborted && setSeen({ kind: 'tree', root: m.tree(expr) }));
      },
    );
    return () => abort.abort();
  }, [expr]);
  if (seen === null) return <Skeleton />;
  if (seen.kind === 'error') return <Failure error={seen.error} />;
  if (seen.kind === 'plan') {
    const { plan, totals } = seen.plan;
    return (
      <div class="tree">
        {totals && (
          <p class="dim" data-explain-totals>
            {thousands(totals.series)} series · {thousands(totals.samplesRead)} samples read · {bytes(totals.bytesDecoded)} decoded · peak {bytes(totals.peakBytes)} · {about(totals.evalSeconds)}
          </p>
        )}
        <ul>
          <PlanTree node={plan} most={slowest(plan)} />
        </ul>
      </div>
    );
  }
  if (seen.root === null) return <p class="dim pad">This does not parse as an expression.</p>;
  return (
    <div class="tree">
      <ul>
        <Node key={expr} node={seen.root} />
      </ul>
    </div>
  );
}
