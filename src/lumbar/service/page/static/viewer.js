// One pane of the viewer: a stack of slices with its mask, in the plane in which it was acquired.
import { element, get, send } from "./api.js";

const OPACITY = 0.45;
const DERIVED = ["levels", "structures"]; // follow from the outlines in the mask "spine"
const COLORS = ["#e6b422", "#3aa0d8", "#d9534f", "#5cb85c", "#9b59b6", "#e67e22", "#1abc9c", "#bdc3c7"];

function rgb(color) {
  const number = parseInt(color.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

function colormap(labels) {
  const all = [{ value: 0, name: "", color: "#000000" }, ...labels];
  const colors = all.map((label, place) => rgb(label.color || COLORS[place % COLORS.length]));
  return {
    R: colors.map((one) => one[0]), G: colors.map((one) => one[1]), B: colors.map((one) => one[2]),
    A: all.map((label) => (label.value ? 255 : 0)), I: all.map((label) => label.value), labels: all.map((label) => label.name),
  };
}

// A label with its color in the image; drawn as SVG, because the Content Security Policy forbids inline styles.
function swatch(label, usual) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawn.setAttribute("viewBox", "0 0 1 1");
  drawn.setAttribute("aria-hidden", "true");
  const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ width: 1, height: 1, fill: label.color || usual })) square.setAttribute(name, value);
  drawn.append(square);
  return element("li", {}, drawn, label.name);
}

export class Pane {
  constructor(place, title) {
    this.choice = element("select", { "aria-label": `Series of the ${title}` });
    this.maskChoice = element("select", { "aria-label": `Mask of the ${title}` });
    this.low = element("input", { type: "number", "aria-label": "darkest value", className: "window" });
    this.high = element("input", { type: "number", "aria-label": "brightest value", className: "window" });
    this.where = element("span", { className: "where", role: "status" });
    this.canvas = element("canvas", { tabIndex: 0, "aria-label": `${title}: arrow keys change the slice` });
    this.legend = element("ul", { className: "legend", "aria-label": `colors of the mask of the ${title}` });
    this.tools = element("div", { className: "tools", hidden: true });
    this.edit = element("button", { type: "button", className: "quiet", hidden: true }, "Edit mask");
    place.append(
      element("div", { className: "controls" }, this.choice, this.maskChoice, element("label", {}, "Window ", this.low, this.high), this.edit),
      this.tools, element("div", { className: "canvas" }, this.canvas), this.where, this.legend);
    this.volumes = [];
    this.masks = [];
    this.onPlace = () => {};
    this.onEdited = () => {};
    this.loading = Promise.resolve();
  }

  async start() {
    this.nv = new window.niivue.Niivue({
      isRadiologicalConvention: true, sagittalNoseLeft: true, isNearestInterpolation: false, show3Dcrosshair: false, isColorbar: false,
      crosshairWidth: 0.6, crosshairColor: [0.25, 0.75, 1, 0.7], backColor: [0, 0, 0, 1], dragAndDropEnabled: false, logLevel: "error",
      fontColor: [0.9, 0.9, 0.9, 1], isOrientCube: false, isResizeCanvas: true,
    });
    await this.nv.attachToCanvas(this.canvas);
    this.nv.onLocationChange = (place) => this.moved(place);
    this.choice.addEventListener("change", () => this.show(this.choice.value));
    this.maskChoice.addEventListener("change", () => this.showMask());
    for (const field of [this.low, this.high]) field.addEventListener("change", () => this.setWindow(Number(this.low.value), Number(this.high.value)));
    this.edit.addEventListener("click", () => this.startDrawing());
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.step(step);
    });
  }

  // The volumes that can be chosen, and the masks of the version that is shown.
  offer(volumes, masks) {
    this.volumes = volumes;
    this.masks = masks;
    this.choice.replaceChildren(...volumes.map((one) => element("option", { value: one.volume, disabled: !one.url }, one.url ? `${one.name} (${one.slices} slices)` : `${one.name}: ${one.reason}`)));
  }

  show(volume) {
    this.loading = this.loading.then(() => this.load(volume));
    return this.loading;
  }

  async load(volume) {
    if (this.shown?.volume === volume) return;
    this.endDrawing();
    this.shown = this.volumes.find((one) => one.volume === volume);
    this.choice.value = volume;
    const types = { sagittal: this.nv.sliceTypeSagittal, coronal: this.nv.sliceTypeCoronal, axial: this.nv.sliceTypeAxial };
    await this.nv.loadVolumes([{ url: this.shown.url, name: `${volume}.nii.gz`, cal_min: this.shown.window[0], cal_max: this.shown.window[1] }]);
    this.nv.setSliceType(types[this.shown.plane]);
    [this.low.value, this.high.value] = this.shown.window.map(Math.round);
    const fitting = this.masks.filter((mask) => mask.volume === volume);
    const usual = fitting.find((mask) => mask.mask.startsWith("muscle")) || fitting.find((mask) => mask.mask === "spine") || fitting[0];
    this.maskChoice.replaceChildren(element("option", { value: "" }, "no mask"), ...fitting.map((mask) => element("option", { value: mask.mask }, mask.mask.replace("_", " "))));
    this.maskChoice.value = usual ? usual.mask : "";
    await this.showMask();
  }

  async showMask() {
    this.endDrawing();
    while (this.nv.volumes.length > 1) this.nv.removeVolume(this.nv.volumes[1]);
    const mask = this.masks.find((one) => one.mask === this.maskChoice.value && one.volume === this.shown.volume);
    this.legend.replaceChildren(...(mask ? mask.labels.map((label, place) => swatch(label, COLORS[(place + 1) % COLORS.length])) : []));
    this.edit.hidden = !mask || DERIVED.includes(mask.mask) || !this.mayEdit;
    if (!mask) return;
    await this.nv.addVolumesFromUrl([{ url: mask.url, name: `${mask.mask}.nii.gz`, opacity: OPACITY }]);
    this.nv.volumes[1].setColormapLabel(colormap(mask.labels));
    this.nv.updateGLVolume();
  }

  toggleMask() {
    if (this.nv.volumes.length < 2) return;
    this.nv.setOpacity(1, this.nv.volumes[1].opacity > 0 ? 0 : OPACITY);
  }

  setWindow(low, high) {
    const image = this.nv.volumes[0];
    if (!image || !(high > low)) return;
    image.cal_min = low;
    image.cal_max = high;
    [this.low.value, this.high.value] = [Math.round(low), Math.round(high)];
    this.nv.updateGLVolume();
  }

  step(count) {
    const axis = ["sagittal", "coronal", "axial"].indexOf(this.shown.plane);
    const move = [0, 0, 0];
    move[axis] = count;
    this.nv.moveCrosshairInVox(...move);
  }

  // Show the place `mm` (RAS, millimetres).
  goTo(mm) {
    if (!this.nv.volumes.length) return;
    const place = this.nv.mm2frac(mm);
    for (let axis = 0; axis < 3; axis++) place[axis] = Math.min(1, Math.max(0, place[axis]));
    this.nv.scene.crosshairPos = place;
    this.quiet = true;
    this.nv.drawScene();
    this.nv.createOnLocationChange?.();
    this.quiet = false;
  }

  contains(mm) {
    if (!this.nv.volumes.length) return false;
    return [...this.nv.mm2frac(mm)].slice(0, 3).every((part) => part >= -0.02 && part <= 1.02);
  }

  moved(place) {
    const axis = ["sagittal", "coronal", "axial"].indexOf(this.shown.plane);
    const slice = Math.round(place.vox[axis]);
    this.where.textContent = `slice ${slice + 1} of ${this.shown.slices} · value ${place.values?.[0]?.value?.toFixed?.(0) ?? ""}`;
    this.canvas.dataset.slice = String(slice);
    if (!this.quiet) this.onPlace([...place.mm].slice(0, 3));
  }

  async startDrawing() {
    const mask = this.masks.find((one) => one.mask === this.maskChoice.value && one.volume === this.shown.volume);
    this.nv.setOpacity(1, 0);
    await this.nv.loadDrawingFromUrl(mask.url);
    this.nv.drawOpacity = OPACITY;
    this.nv.setDrawingEnabled(true);
    const labels = element("select", { "aria-label": "structure to draw" }, element("option", { value: "0" }, "erase"), ...mask.labels.map((label) => element("option", { value: String(label.value) }, label.name)));
    labels.value = String(mask.labels[0].value);
    const pen = () => this.nv.setPenValue(Number(labels.value), true);
    labels.addEventListener("change", pen);
    pen();
    const button = (text, action) => { const made = element("button", { type: "button", className: "quiet" }, text); made.addEventListener("click", action); return made; };
    const message = element("span", { role: "alert" });
    const save = button("Use this outline", async () => {
      try {
        const data = await this.nv.saveImage({ filename: "", isSaveDrawing: true });
        const answer = await send("PUT", `${this.base}/masks/${mask.mask}`, new Blob([data]), "application/octet-stream");
        message.textContent = `${answer.changed_voxels} voxels changed; now measure again under “Correct”`;
        this.onEdited(answer);
      } catch (error) {
        message.textContent = error.message;
      }
    });
    this.tools.replaceChildren("Circle an area with the pen: ", labels, button("Undo", () => this.nv.drawUndo()), save, button("Stop", () => this.showMask()), message);
    this.tools.hidden = false;
  }

  endDrawing() {
    if (this.tools.hidden) return;
    this.nv.setDrawingEnabled(false);
    this.nv.closeDrawing();
    this.tools.hidden = true;
  }
}

// The volumes and masks of a study.
export async function sources(base, version) {
  return { volumes: await get(`${base}/volumes`), masks: version ? await get(`${base}/versions/${version}/masks`) : [] };
}
