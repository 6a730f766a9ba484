// serve.workerd.mjs - the same as serve.mjs for workerd, whose configuration serve.py writes.
import module from 'calc.wasm';

export default {
  async fetch(request) {
    const { function: name, args } = await request.json();
    const value = new WebAssembly.Instance(module).exports[name](...args);
    const text = JSON.stringify({ outcome: 'returned', results: [{ type: 'i32', value }] });
    return new Response(text, { headers: { 'Content-Type': 'application/json' } });
  },
};
