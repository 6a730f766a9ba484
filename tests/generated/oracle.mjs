// oracle.mjs - run generated modules in Node and write what happened as a specification script.
//
//     node oracle.mjs OUT.json MODULE.wasm...
//
// Every exported function is called with a few arguments, in order, in one instance; the script
// says what each call gave, and at the end what is in the memory, so that any engine that runs
// such scripts can be compared with Node. A NaN is expected to be quiet, nothing more.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const INTEGERS = [0n, 1n, -1n, 7n, -2147483648n, 1000000007n];
const FLOATS = [0, -0, 1.5, -1e10, 3e38, Infinity];

const view = new DataView(new ArrayBuffer(8));

function bitsOf(type, value) {
  switch (type) {
    case "i32": return String(value >>> 0);
    case "i64": return String(BigInt.asUintN(64, value));
    case "f32":
      if (Number.isNaN(value)) return "nan:arithmetic";
      view.setFloat32(0, value);
      return String(view.getUint32(0));
    default:
      if (Number.isNaN(value)) return "nan:arithmetic";
      view.setFloat64(0, value);
      return String(view.getBigUint64(0));
  }
}

function argument(type, round, position) {
  const i = (round * 5 + position * 3) % 6;
  switch (type) {
    case "i32": return Number(BigInt.asIntN(32, INTEGERS[i]));
    case "i64": return INTEGERS[i] * 3n;
    case "f32": return Math.fround(FLOATS[i]);
    default: return FLOATS[i];
  }
}

// Types of the exported functions, read from the binary: only what generate.py writes.
function signatures(bytes) {
  const names = { 0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128" };
  let at = 8;
  const leb = () => {
    let value = 0, shift = 0, byte;
    do { byte = bytes[at++]; value |= (byte & 0x7f) << shift; shift += 7; } while (byte & 0x80);
    return value >>> 0;
  };
  const types = [], functions = [];
  while (at < bytes.length) {
    const id = bytes[at++], end = leb() + at;
    if (id === 1) {
      for (let n = leb(); n > 0; n--) {
        at++;
        const list = () => Array.from({ length: leb() }, () => names[bytes[at++]]);
        types.push({ params: list(), results: list() });
      }
    } else if (id === 3) {
      for (let n = leb(); n > 0; n--) functions.push(types[leb()]);
    }
    at = end;
  }
  // Each is there twice, the exported ones behind the others, and then "reset" and "digest".
  return functions.slice(0, (functions.length - 2) / 2);
}

const [out, ...files] = process.argv.slice(2);
const commands = [];
let line = 0;
for (const file of files) {
  const bytes = readFileSync(file);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  commands.push({ type: "module", line: ++line, filename: basename(file) });
  signatures(bytes).forEach(({ params, results }, index) => {
    for (let round = 0; round < 6; round++) {
      const values = params.map((type, position) => argument(type, round, position));
      const action = {
        type: "invoke", field: `f${index}`,
        args: values.map((value, i) => ({ type: params[i], value: bitsOf(params[i], value) })),
      };
      line++;
      exports.reset();
      commands.push({ type: "action", line, action: { type: "invoke", field: "reset", args: [] } });
      try {
        let got = exports[`f${index}`](...values);
        if (results.length === 1) got = [got];
        const expected = results.map((type, i) => ({ type, value: bitsOf(type, got[i]) }));
        commands.push({ type: "assert_return", line, action, expected });
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        commands.push({ type: "assert_trap", line, action, text: error.message });
      }
    }
  });
  commands.push({
    type: "assert_return", line: ++line, action: { type: "invoke", field: "digest", args: [] },
    expected: [{ type: "i32", value: bitsOf("i32", exports.digest()) }],
  });
}
writeFileSync(out, JSON.stringify({ source_filename: "generated", commands }));
