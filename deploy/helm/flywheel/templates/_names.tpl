{{- define "flywheel.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* Labels that selectors name. Argument: dict root component. */}}
{{- define "flywheel.selector" -}}
app.kubernetes.io/name: flywheel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "flywheel.labels" -}}
{{ include "flywheel.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- /* Argument: dict root image. */}}
{{- define "flywheel.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "flywheel.home" -}}/var/lib/flywheel/home{{- end }}
{{- define "flywheel.cache" -}}/var/lib/flywheel/cache{{- end }}
{{- define "flywheel.dagsterHome" -}}/opt/dagster/home{{- end }}

{{- define "flywheel.homeClaim" -}}
{{ .Values.storage.home.existingClaim | default (printf "%s-home" (include "flywheel.name" .)) }}
{{- end }}

{{- define "flywheel.cacheClaim" -}}
{{ .Values.storage.cache.existingClaim | default (printf "%s-cache" (include "flywheel.name" .)) }}
{{- end }}

{{- /* Where vLLM answers; empty: nowhere, and the gateway's own process does. */}}
{{- define "flywheel.vllmUrl" -}}
{{- if .Values.vllm.enabled }}
{{- $name := printf "%s-vllm" (include "flywheel.name" .) }}
{{- $urls := list }}
{{- range $i := until (int .Values.vllm.replicas) }}
{{- $urls = append $urls (printf "http://%s-%d.%s:8000" $name $i $name) }}
{{- end }}
{{- join "," $urls }}
{{- else }}
{{- .Values.vllm.url }}
{{- end }}
{{- end }}

{{- /* Where trainings are sent; empty: a run trains in itself. KubeRay names the head's Service so. */}}
{{- define "flywheel.rayUrl" -}}
{{- if .Values.training.ray.enabled }}http://{{ include "flywheel.name" . }}-ray-head-svc:8265
{{- else }}{{ .Values.training.ray.address }}
{{- end }}
{{- end }}
