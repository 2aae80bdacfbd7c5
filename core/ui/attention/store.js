// The weights in the browser: what packing.py packed, unpacked and kept.

const WEIGHT8 = Float64Array.from({ length: 256 }, (_, level) => (level / 255) ** 2)
const WEIGHT16 = Float64Array.from({ length: 65536 }, (_, level) => (level / 65535) ** 2)

/** The header and the planes of one message. */
function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)))
  const begin = 4 + length + ((4 - (length % 4)) % 4)
  const types = { u1: Uint8Array, u2: Uint16Array, f4: Float32Array }
  for (const plane of header.planes) {
    const Type = types[plane.type]
    const size = plane.shape.reduce((a, b) => a * b, 1)
    const from = bytes.byteOffset + begin + plane.at
    // A copy where the message doesn't lie at a multiple of the type's size.
    plane.values =
      from % Type.BYTES_PER_ELEMENT === 0
        ? new Type(bytes.buffer, from, size)
        : new Type(bytes.buffer.slice(from, from + size * Type.BYTES_PER_ELEMENT))
  }
  return header
}

/** Everything known of one map. Indices count from 0; a weight is (level / top) squared. */
class Store {
  constructor(header) {
    this.id = header.id
    this.kind = header.kind
    this.rows = header.rows
    this.columns = header.columns ?? header.rows
    this.layers = header.shape[0]
    this.heads = header.shape[1]
    this.available = header.available
    this.planes = new Map()
    this.small = null
    this.exact = null // one row of one layer, unrounded
    this.vectors = null
    this.eights = new Map()
    this.causal = header.causal
    this.pairs = header.pairs
  }

  add(header) {
    for (const plane of header.planes) {
      if (plane.kind === "layer") this.planes.set(plane.layer, plane)
      else if (plane.kind === "thumbnails") this.small = plane
      else if (plane.kind === "row") this.exact = plane
    }
    const { neuron } = header
    if (neuron) {
      const find = (kind) => header.planes.find((plane) => plane.kind === kind)?.values
      this.vectors = { ...neuron, query: find("query"), key: find("key"), bias: find("bias") ?? null }
    }
  }

  have() {
    return {
      id: this.id,
      thumbnails: this.small !== null,
      layers: [...this.planes.keys()],
      vectors: this.vectors ? [this.vectors.layer, this.vectors.head] : null,
    }
  }

  has(layer) {
    return this.planes.has(layer)
  }

  /** Whether weights of this place are known to four decimals. */
  fine(layer, row) {
    return this.planes.get(layer)?.type === "u2" || (this.exact?.layer === layer && this.exact.row === row)
  }

  at(layer, head, row, column) {
    const columns = this.columns.length
    const { exact } = this
    if (exact !== null && exact.row === row && exact.layer === layer) return exact.values[head * columns + column]
    const plane = this.planes.get(layer)
    if (!plane) return NaN
    const level = plane.values[(head * this.rows.length + row) * columns + column]
    return plane.type === "u2" ? WEIGHT16[level] : WEIGHT8[level]
  }

  /** Eight-bit levels of a whole layer, (heads, rows, columns); null while they aren't here. */
  levels(layer) {
    const plane = this.planes.get(layer)
    if (!plane) return null
    if (plane.type === "u1") return plane.values
    let made = this.eights.get(layer)
    if (!made) {
      made = Uint8Array.from(plane.values, (v) => (v === 0 ? 0 : Math.max(1, Math.round(v / 257))))
      if (this.eights.size > 3) this.eights.delete(this.eights.keys().next().value)
      this.eights.set(layer, made)
    }
    return made
  }

  /** The thumbnail of a head: {values, rows, columns}; null if nothing of it is here. */
  thumbnail(layer, head) {
    if (this.small) {
      const [, heads, rows, columns] = this.small.shape
      const at = (layer * heads + head) * rows * columns
      return { values: this.small.values.subarray(at, at + rows * columns), rows, columns }
    }
    const levels = this.levels(layer)
    if (!levels) return null
    const [rows, columns] = [this.rows.length, this.columns.length]
    const at = head * rows * columns
    return { values: levels.subarray(at, at + rows * columns), rows, columns }
  }

  text(side, index) {
    return visible((side === "row" ? this.rows : this.columns)[index][0])
  }
}

/** A small picture of levels, one pixel a cell; masked cells stay transparent. */
function picture(values, rows, columns, table) {
  const canvas = document.createElement("canvas")
  canvas.width = columns
  canvas.height = rows
  const image = new ImageData(columns, rows)
  const words = new Uint32Array(image.data.buffer)
  for (let k = 0; k < words.length; k++) words[k] = table[values[k]]
  canvas.getContext("2d").putImageData(image, 0, 0)
  return canvas
}
