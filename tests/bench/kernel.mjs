// kernel.mjs - runs a kernel in node: node kernel.mjs FILE N prints the checksum of run(N) and
// its nanoseconds, without the time that compilation takes.
import { readFileSync } from 'node:fs';

const [file, count] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(file));
const { run } = new WebAssembly.Instance(module).exports;

run(1);
const start = process.hrtime.bigint();
const sum = run(Number(count)) >>> 0;
const elapsed = process.hrtime.bigint() - start;
console.log(`${sum} ${elapsed}`);
