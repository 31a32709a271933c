{{- define "flywheel.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* Labels that selectors name. Argument: dict root component, and base where a set of pods serves one. */}}
{{- define "flywheel.selector" -}}
app.kubernetes.io/name: flywheel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .base }}
flywheel/base: {{ .digest | quote }}
{{- end }}
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

{{- /* The replicas of vLLM that serve one base. Argument: dict root base. */}}
{{- define "flywheel.vllmName" -}}
{{- $_ := required "vllm.bases: each has a folder, the one that `flywheel base build` printed" .base.folder }}
{{- $digest := required "vllm.bases: each has a digest, the first 16 characters of what `flywheel base build` printed" .base.digest }}
{{- if not (regexMatch "^[0-9a-f]{16}$" (toString $digest)) }}
{{- fail (printf "vllm.bases: the digest %v is not 16 characters of 0 to 9 and a to f (quote one of digits alone)" $digest) }}
{{- end }}
{{- /* With the hash of a revision, 11 characters, it is a label of the pods: 63 at most. */}}
{{- printf "%s-vllm-%s" (include "flywheel.name" .root | trunc 37 | trimSuffix "-") (trunc 8 $digest) }}
{{- end }}

{{- /* How many of them there are. Argument: dict root base. */}}
{{- define "flywheel.vllmReplicas" -}}
{{- if hasKey .base "replicas" }}{{ .base.replicas }}{{ else }}{{ .root.Values.vllm.replicas }}{{ end }}
{{- end }}

{{- /* Where vLLM answers; empty: nowhere, and the gateway's own process does. */}}
{{- define "flywheel.vllmUrl" -}}
{{- if .Values.vllm.enabled }}
{{- $root := . }}
{{- $urls := list }}
{{- if not .Values.vllm.bases }}
{{- fail "vllm.bases: name at least one base to serve" }}
{{- end }}
{{- range $base := .Values.vllm.bases }}
{{- $name := include "flywheel.vllmName" (dict "root" $root "base" $base) }}
{{- range $i := until (int (include "flywheel.vllmReplicas" (dict "root" $root "base" $base))) }}
{{- $urls = append $urls (printf "http://%s-%d.%s:8000" $name $i $name) }}
{{- end }}
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
