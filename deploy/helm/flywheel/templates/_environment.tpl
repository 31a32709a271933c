{{- /* One variable out of the Secret. Argument: dict root name optional. */}}
{{- define "flywheel.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.secret.existingSecret }}
      key: {{ .name }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{- /* Argument: dict name value. */}}
{{- define "flywheel.variable" -}}
- name: {{ .name }}
  value: {{ .value | toString | quote }}
{{- end }}

{{- /*
Variables of a program: those that all have, and those of what it uses.
Argument: dict root uses; uses: some of dagster, reviews, serving, training.
*/}}
{{- define "flywheel.environment" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{ include "flywheel.variable" (dict "name" "HOME" "value" "/tmp") }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_HOME" "value" (include "flywheel.home" .)) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_CACHE" "value" (include "flywheel.cache" .)) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_WORKLOADS" "value" (ternary "/etc/flywheel/workloads" (printf "%s/workloads" (include "flywheel.home" .)) (ne $values.workloads.configMap ""))) }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" "FLYWHEEL_STATE_URL") }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" "FLYWHEEL_HASH_KEY") }}
{{ include "flywheel.lakeVariables" .root }}
{{ include "flywheel.kafkaVariables" .root }}
{{- if contains "@" $values.mlflow.url }}
{{- fail "mlflow.url: give the address alone, and MLFLOW_TRACKING_USERNAME and _PASSWORD by secret.variables" }}
{{- end }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_MLFLOW_URL" "value" $values.mlflow.url) }}
{{- if has "reviews" .uses }}
{{ include "flywheel.reviewVariables" .root }}
{{- end }}
{{- if has "serving" .uses }}
{{- with include "flywheel.vllmUrl" .root }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_MODEL_SERVER" "value" "vllm") }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_VLLM_URL" "value" .) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_VLLM_MAX_LORAS" "value" (max $values.vllm.lora.maxLoras $values.vllm.lora.maxCpuLoras)) }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" "FLYWHEEL_VLLM_TOKEN") }}
{{- end }}
{{- end }}
{{- if has "training" .uses }}
{{ include "flywheel.trainingVariables" .root }}
{{- end }}
{{- if has "dagster" .uses }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" "FLYWHEEL_DAGSTER_URL") }}
{{ include "flywheel.variable" (dict "name" "DAGSTER_DISABLE_TELEMETRY" "value" "yes") }}
{{ include "flywheel.variable" (dict "name" "DAGSTER_GRPC_TIMEOUT_SECONDS" "value" 300) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_ALERT_FORMAT" "value" $values.alerts.format) }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" "FLYWHEEL_ALERT_URL" "optional" true) }}
{{- if $values.alerts.emails }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_ALERT_EMAILS" "value" $values.alerts.emails) }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" "FLYWHEEL_ALERT_SMTP_URL") }}
{{- end }}
{{- end }}
{{- range $values.secret.variables }}
{{ include "flywheel.secretVariable" (dict "root" $root "name" .) }}
{{- end }}
{{- range $name, $value := $values.settings }}
{{- if regexMatch "(_URL|_TOKEN|_SECRET|_PASSWORD|_KEY)$" $name }}
{{- fail (printf "settings.%s: put it into the Secret %s, and its name into secret.variables" $name $values.secret.existingSecret) }}
{{- end }}
{{ include "flywheel.variable" (dict "name" $name "value" $value) }}
{{- end }}
{{- end }}

{{- define "flywheel.lakeVariables" -}}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_LAKE" "value" (required "lake.url: several machines share no folder, so the lake needs s3://bucket/folder" .Values.lake.url)) }}
{{ include "flywheel.variable" (dict "name" "AWS_REGION" "value" .Values.lake.region) }}
{{- with .Values.lake.endpoint }}
{{ include "flywheel.variable" (dict "name" "AWS_ENDPOINT_URL" "value" .) }}
{{- end }}
{{ include "flywheel.secretVariable" (dict "root" . "name" "AWS_ACCESS_KEY_ID" "optional" true) }}
{{ include "flywheel.secretVariable" (dict "root" . "name" "AWS_SECRET_ACCESS_KEY" "optional" true) }}
{{- end }}

{{- define "flywheel.kafkaVariables" -}}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_EVENT_LOG" "value" "kafka") }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_KAFKA_SERVERS" "value" .Values.kafka.servers) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_KAFKA_SECURITY_PROTOCOL" "value" .Values.kafka.securityProtocol) }}
{{- if .Values.kafka.saslMechanism }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_KAFKA_SASL_MECHANISM" "value" .Values.kafka.saslMechanism) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_KAFKA_USERNAME" "value" .Values.kafka.username) }}
{{ include "flywheel.secretVariable" (dict "root" . "name" "FLYWHEEL_KAFKA_PASSWORD") }}
{{- end }}
{{- if .Values.kafka.caSecret }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_KAFKA_CA_FILE" "value" "/etc/flywheel/kafka/ca.crt") }}
{{- end }}
{{- end }}

{{- define "flywheel.reviewVariables" -}}
{{- if .Values.labelStudio.url }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_REVIEW_QUEUE" "value" "label_studio") }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_LABEL_STUDIO_URL" "value" .Values.labelStudio.url) }}
{{ include "flywheel.secretVariable" (dict "root" . "name" "FLYWHEEL_LABEL_STUDIO_TOKEN") }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_WEBHOOK_URL" "value" (.Values.labelStudio.webhookUrl | default (printf "http://%s-webhooks.%s:9109" (include "flywheel.name" .) .Release.Namespace))) }}
{{ include "flywheel.secretVariable" (dict "root" . "name" "FLYWHEEL_WEBHOOK_SECRET") }}
{{- end }}
{{- end }}

{{- define "flywheel.trainingVariables" -}}
{{- $ray := .Values.training.ray }}
{{- with include "flywheel.rayUrl" . }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_TRAIN_LAUNCHER" "value" "ray") }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_RAY_ADDRESS" "value" .) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_TRAIN_GPUS" "value" $ray.gpus) }}
{{ include "flywheel.variable" (dict "name" "FLYWHEEL_TRAIN_EXCHANGE" "value" ($ray.exchange | default (printf "file://%s/exchange" (include "flywheel.home" .)))) }}
{{ include "flywheel.secretVariable" (dict "root" $ "name" "FLYWHEEL_RAY_TOKEN") }}
{{- end }}
{{- end }}
