// Safetensors files of float32, with Sfumato's metadata: one JSON object under the key `sfumato`.

const LENGTH_BYTES = 8;

export function read(buffer) {
  const view = new DataView(buffer);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, LENGTH_BYTES, length)));
  const { __metadata__: metadata, ...entries } = header;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(entries)) {
    if (dtype !== "F32") throw new Error(`expected float32 in ${name}, got ${dtype}`);
    const first = LENGTH_BYTES + length;
    tensors[name] = { shape, values: new Float32Array(buffer.slice(first + start, first + end)) };
  }
  return { metadata: JSON.parse(metadata.sfumato), tensors };
}

// `tensors` maps names to [shape, Float32Array].
export function write(tensors, metadata) {
  const header = { __metadata__: { sfumato: JSON.stringify(metadata) } };
  let end = 0;
  for (const [name, [shape, values]] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);  // the tensors begin at a multiple of 8
  const file = new Uint8Array(LENGTH_BYTES + text.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(new TextEncoder().encode(text), LENGTH_BYTES);
  for (const [name, [, values]] of Object.entries(tensors)) {
    const place = LENGTH_BYTES + text.length + header[name].data_offsets[0];
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), place);
  }
  return file;
}
