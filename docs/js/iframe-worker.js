// Pages that are opened as files may start no workers, so the search runs in a hidden frame.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inside = frame.contentWindow
      this.loaded = new Promise(done => frame.addEventListener("load", done))
      const page = frame.contentDocument
      page.open()
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", {data}))
      page.write(`<script src="${url}"></script>`)
      page.close()
    }

    async postMessage(data) {
      await this.loaded
      this.inside.dispatchEvent(new MessageEvent("message", {data}))
    }
  }
